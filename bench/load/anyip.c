#define _GNU_SOURCE
#include "anyip.h"

#include <arpa/inet.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <sys/socket.h>

#include "measure.h"

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

int anyip_open(int port) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  int on = 1, room = 64 << 20;
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (fd < 0) fail("socket");
  if (setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) != 0) fail("IP_PKTINFO");
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0) fail("SO_RCVBUFFORCE");
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) != 0) fail("SO_SNDBUFFORCE");
  if (bind(fd, (struct sockaddr *)&any, sizeof any) != 0) fail("bind");
  return fd;
}

int anyip_send(int fd, uint32_t source, const struct sockaddr_in *to, const void *data, size_t length) {
  char control[CMSG_SPACE(sizeof(struct in_pktinfo))] = {0};
  struct iovec part = {(void *)data, length};
  struct msghdr message = {(void *)to, sizeof *to, &part, 1, control, sizeof control, 0};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = IPPROTO_IP;
  header->cmsg_type = IP_PKTINFO;
  header->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
  struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(source)};
  memcpy(CMSG_DATA(header), &info, sizeof info);
  return sendmsg(fd, &message, MSG_DONTWAIT) == (ssize_t)length;
}

int anyip_receive(int fd, struct anyip_packet packets[ANYIP_BATCH]) {
  static char rooms[ANYIP_BATCH][ANYIP_ROOM], controls[ANYIP_BATCH][128];
  static struct sockaddr_in sources[ANYIP_BATCH];
  static struct iovec parts[ANYIP_BATCH];
  static struct mmsghdr headers[ANYIP_BATCH];
  for (int i = 0; i < ANYIP_BATCH; i++) {
    parts[i] = (struct iovec){rooms[i], ANYIP_ROOM - 1};
    headers[i].msg_hdr = (struct msghdr){&sources[i], sizeof sources[i], &parts[i], 1, controls[i], 128, 0};
  }
  int count = recvmmsg(fd, headers, ANYIP_BATCH, MSG_DONTWAIT, NULL);
  for (int i = 0; i < count; i++) {
    struct cmsghdr *header = CMSG_FIRSTHDR(&headers[i].msg_hdr);
    struct in_pktinfo info = {0};
    if (header != NULL && header->cmsg_type == IP_PKTINFO) memcpy(&info, CMSG_DATA(header), sizeof info);
    rooms[i][headers[i].msg_len] = 0;
    packets[i] = (struct anyip_packet){ntohl(info.ipi_addr.s_addr), sources[i], headers[i].msg_len, rooms[i]};
  }
  return count < 0 ? 0 : count;
}

uint32_t anyip_drops(int fd) {
  uint32_t values[SK_MEMINFO_VARS];
  socklen_t length = sizeof values;
  if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, values, &length) != 0) fail("SO_MEMINFO");
  return values[SK_MEMINFO_DROPS];
}

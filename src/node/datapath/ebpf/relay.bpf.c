// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Relays established flows inside the kernel: at the ingress of an interface a datagram whose addresses, ports and channel
 * are those of a known flow is rewritten, and leaves by the interface that the flow names. Everything else goes on to
 * whoever would have had it without us. What it decides is little, on purpose: permissions, lifetimes and quotas are kept
 * above, and a flow is here for as long as they hold, and somebody above says so (`lease`).
 *
 * tools/ebpf.ts compiles this into program.ts, with the layouts of the structures below.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
#define SWAP16(x) __builtin_bswap16(x)
#define SWAP32(x) __builtin_bswap32(x)

static void *(*const lookup)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static __u64 (*const now_ns)(void) = (void *)BPF_FUNC_ktime_get_ns;
static long (*const load_bytes)(const struct __sk_buff *, __u32, void *, __u32) = (void *)BPF_FUNC_skb_load_bytes;
static long (*const store_bytes)(struct __sk_buff *, __u32, const void *, __u32, __u64) = (void *)BPF_FUNC_skb_store_bytes;
static long (*const pull_data)(struct __sk_buff *, __u32) = (void *)BPF_FUNC_skb_pull_data;
static long (*const change_tail)(struct __sk_buff *, __u32, __u64) = (void *)BPF_FUNC_skb_change_tail;
static long (*const change_proto)(struct __sk_buff *, __be16, __u64) = (void *)BPF_FUNC_skb_change_proto;
static __s64 (*const csum_diff)(__be32 *, __u32, __be32 *, __u32, __wsum) = (void *)BPF_FUNC_csum_diff;
static long (*const l4_csum_replace)(struct __sk_buff *, __u32, __u64, __u64, __u64) = (void *)BPF_FUNC_l4_csum_replace;
static long (*const redirect_neigh)(__u32, void *, int, __u64) = (void *)BPF_FUNC_redirect_neigh;

struct flow_key {
	__u32 local[4]; /* IPv4: the first word, the others are 0 */
	__u32 remote[4];
	__be16 local_port;
	__be16 remote_port;
	__be16 channel; /* 0: the payload is no ChannelData of this flow */
	__u16 family;   /* 4 or 6 */
};

#define KIND_OPAQUE 0
#define KIND_RTP 1

struct flow {
	__u32 local[4]; /* where it leaves from */
	__u32 remote[4];
	__u32 index;  /* in `counters` and `qualities` */
	__u32 bucket; /* in `buckets`; 0: not policed */
	__u32 interface;
	__u32 mtu;
	__be32 ssrc;      /* KIND_RTP */
	__u32 clock_rate; /* KIND_RTP: of its timestamps, in hertz */
	__u32 payload_types[4];
	__u64 expires; /* CLOCK_MONOTONIC, nanoseconds: from then on it is over, whoever is still to say so */
	__u64 passed;  /* when one of its packets has last gone up; written here too */
	__u32 other_bucket; /* of who sends, where `bucket` is of who receives; 0: not policed */
	__be16 local_port;
	__be16 remote_port;
	__be16 channel;
	__u8 family;
	__u8 kind;
	struct flow_key key; /* how it arrives */
};

struct counter {
	__u64 packets;
	__u64 bytes; /* payload, without any header */
	__u64 last;  /* CLOCK_MONOTONIC, nanoseconds */
	__u64 up;    /* packets that were seen and left to user space */
};

/* GCRA (ATM Forum TM 4.1 §4.4.3): one number a bucket, so that one compare-and-swap is enough. */
struct bucket {
	__u64 arrival;   /* theoretical, nanoseconds */
	__u64 tolerance; /* nanoseconds */
	__u64 picoseconds_a_byte;
};

/*
 * RFC 3550 appendices A.1, A.3 and A.8. All packets of a flow come to one queue, and so to one CPU. Whoever puts the flow here
 * says which numbers it goes on from, so that what is lost is known above.
 */
struct quality {
	__u32 received;
	__u32 highest; /* sequence number, extended */
	__u32 jitter;  /* times 16, in timestamp units */
	__u32 transit;
	__u32 payload_type;
};

/* As src/core/rtp/sequence.ts has them: of sequence numbers, and of seconds. */
#define MAX_DROPOUT 3000
#define MAX_MISORDER 100
#define MAX_TRANSIT_CHANGE 60

/* Payloads on their way four bytes up or down. */
#define MAX_PAYLOAD 1536

struct map_definition {
	__u32 type;
	__u32 key_size;
	__u32 value_size;
	__u32 max_entries;
};

#define FLOWS 32768
#define BUCKETS 32768

/* To each its number, and by number what it is: what a hash map has removed is another's at once, whoever still reads it, and
 * a number is not for as long as a packet may be on its way. */
struct map_definition SEC("maps") numbers = { BPF_MAP_TYPE_HASH, sizeof(struct flow_key), 4, FLOWS };
struct map_definition SEC("maps") flows = { BPF_MAP_TYPE_ARRAY, 4, sizeof(struct flow), FLOWS };
struct map_definition SEC("maps") counters = { BPF_MAP_TYPE_PERCPU_ARRAY, 4, sizeof(struct counter), FLOWS };
struct map_definition SEC("maps") qualities = { BPF_MAP_TYPE_ARRAY, 4, sizeof(struct quality), FLOWS };
struct map_definition SEC("maps") buckets = { BPF_MAP_TYPE_ARRAY, 4, sizeof(struct bucket), BUCKETS };
/* One number: the time on CLOCK_MONOTONIC, in nanoseconds, until which flows are forwarded. A daemon that stalls, or is
 * gone, does not write the next one. */
struct map_definition SEC("maps") lease = { BPF_MAP_TYPE_ARRAY, 4, 8, 1 };
/* One number: how long no packet of a flow may go up, in nanoseconds; 0: for ever. What is forwarded here passes the host's
 * connection tracking by, which would forget the flow, and drop or translate anew what still comes to it. */
struct map_definition SEC("maps") silence = { BPF_MAP_TYPE_ARRAY, 4, 8, 1 };
struct map_definition SEC("maps") outcomes = { BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 16 };
struct map_definition SEC("maps") scratch = { BPF_MAP_TYPE_PERCPU_ARRAY, 4, MAX_PAYLOAD, 1 };

enum outcome { FORWARDED, MISSED, UNUSUAL, EXPIRED, POLICED, TOO_LONG, NOT_MEDIA, FAILED, PASSED };

INLINE int up(__u32 why)
{
	__u64 *count = lookup(&outcomes, &why);
	if (count)
		(*count)++;
	/* Whoever is attached after us, and then the stack. */
	return TC_ACT_UNSPEC;
}

/* A packet of this flow. */
INLINE int up_of(struct flow *flow, __u32 why, __u64 now)
{
	struct counter *counter = lookup(&counters, &flow->index);

	if (counter)
		counter->up++;
	flow->passed = now;
	return up(why);
}

INLINE int drop(__u32 why)
{
	up(why);
	return TC_ACT_SHOT;
}

struct seen {
	struct flow_key key;
	__u32 payload; /* where it begins */
	__u32 length;  /* of it */
	__be16 udp_length;
	__be16 checksum;
	__u8 traffic_class;
	__u8 hops;
	__be16 id;
	__be16 fragment;
};

/*
 * Whether a packet has so many bytes, and they lie together. Pointers into packets are compared with its end alone, and never
 * subtracted: the verifier lets others do that only with CAP_PERFMON.
 */
INLINE int has_bytes(struct __sk_buff *skb, __u32 count)
{
	if (skb->len < count)
		return 0;
	return (void *)(long)skb->data + count <= (void *)(long)skb->data_end || pull_data(skb, count) == 0;
}

INLINE __u16 header_sum(const struct iphdr *ip)
{
	const __u16 *words = (const __u16 *)ip;
	__u32 sum = 0;
#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* 0: a datagram that a flow may be of. Whatever has options, is a fragment, or does not fit its lengths, is not. */
INLINE int read(struct __sk_buff *skb, struct seen *seen)
{
	struct udphdr *udp;
	void *data;

	/* Not for this host, or several packets in one. */
	if (skb->pkt_type != 0 || skb->vlan_present || skb->gso_segs > 1)
		return -1;
	if (skb->protocol == SWAP16(ETH_P_IP)) {
		struct iphdr *ip;
		if (!has_bytes(skb, 14 + 20 + 8))
			return -1;
		data = (void *)(long)skb->data;
		ip = data + 14;
		udp = (void *)(ip + 1);
		if ((void *)(udp + 1) > (void *)(long)skb->data_end)
			return -1;
		if (*(__u8 *)ip != 0x45 || ip->protocol != IPPROTO_UDP || (ip->frag_off & SWAP16(0xbfff)))
			return -1;
		if (SWAP16(ip->tot_len) != skb->len - 14 || SWAP16(udp->len) != skb->len - 34 || ip->ttl < 2)
			return -1;
		/* RFC 1812 §5.2.2: a new one would make good what was broken on its way. */
		if (header_sum(ip))
			return -1;
		seen->key.local[0] = ip->daddr;
		seen->key.remote[0] = ip->saddr;
		seen->key.family = 4;
		seen->traffic_class = ip->tos;
		seen->hops = ip->ttl;
		seen->id = ip->id;
		seen->fragment = ip->frag_off;
		seen->payload = 42;
	} else if (skb->protocol == SWAP16(ETH_P_IPV6)) {
		struct ipv6hdr *ip;
		if (!has_bytes(skb, 14 + 40 + 8))
			return -1;
		data = (void *)(long)skb->data;
		ip = data + 14;
		udp = (void *)(ip + 1);
		if ((void *)(udp + 1) > (void *)(long)skb->data_end)
			return -1;
		if (ip->version != 6 || ip->nexthdr != IPPROTO_UDP || ip->hop_limit < 2)
			return -1;
		if (SWAP16(ip->payload_len) != skb->len - 54 || udp->len != ip->payload_len)
			return -1;
		/* RFC 8200 §8.1: over IPv6 there is always one. */
		if (udp->check == 0)
			return -1;
		__builtin_memcpy(seen->key.local, &ip->daddr, 16);
		__builtin_memcpy(seen->key.remote, &ip->saddr, 16);
		seen->key.family = 6;
		seen->traffic_class = (ip->priority << 4) | (ip->flow_lbl[0] >> 4);
		seen->hops = ip->hop_limit;
		/* RFC 7915 §5.1: what crosses over to IPv4 was never to be fragmented on its way. */
		seen->fragment = SWAP16(0x4000);
		seen->payload = 62;
	} else {
		return -1;
	}
	seen->key.local_port = udp->dest;
	seen->key.remote_port = udp->source;
	seen->udp_length = udp->len;
	seen->checksum = udp->check;
	seen->length = SWAP16(udp->len) - 8;
	return 0;
}

/* The flow that arrives so. */
INLINE struct flow *find(const struct flow_key *key)
{
	__u32 *number = lookup(&numbers, key), index, difference = 0;
	struct flow *flow;

	if (!number)
		return 0;
	index = *number;
	flow = lookup(&flows, &index);
	if (!flow)
		return 0;
	/* The number may have become another flow's since it was found. */
#pragma unroll
	for (int i = 0; i < sizeof(*key) / 4; i++)
		difference |= ((const __u32 *)key)[i] ^ ((const __u32 *)&flow->key)[i];
	return difference ? 0 : flow;
}

/* Whether the allocation's bandwidth has room for this packet. */
INLINE int admits(__u32 index, __u32 bytes, __u64 now)
{
	struct bucket *bucket = lookup(&buckets, &index);
	__u64 arrival, from, cost;

	if (!bucket)
		return 1;
	cost = (bytes * bucket->picoseconds_a_byte) / 1000;
	arrival = bucket->arrival;
	from = arrival > now ? arrival : now;
	if (from + cost > now + bucket->tolerance)
		return 0;
	/* Another CPU was quicker: this packet is free. */
	__sync_val_compare_and_swap(&bucket->arrival, arrival, from + cost);
	return 1;
}

struct rtp {
	__u8 first;
	__u8 second;
	__be16 sequence;
	__be32 timestamp;
	__be32 ssrc;
};

/* Whether the header is whole, with its list of sources and its extension (RFC 3550 §5.1, §5.3.1). */
INLINE int is_whole(struct __sk_buff *skb, __u32 from, __u32 length, __u8 first)
{
	__u32 header = 12 + 4 * (first & 15);
	struct {
		__be16 profile, words;
	} extension;

	if (first & 0x10) {
		if (header + 4 > length || load_bytes(skb, from + header, &extension, 4))
			return 0;
		header += 4 + 4 * SWAP16(extension.words);
	}
	return header <= length;
}

/*
 * RTP that goes on with what its source has sent before, of a payload type that was agreed on: RTCP, STUN and DTLS are not for
 * us (RFC 7983 §7, RFC 5761 §4), and neither is who begins anew.
 */
INLINE int is_media(const struct flow *flow, const struct rtp *rtp)
{
	__u32 type = rtp->second & 0x7f, index = flow->index;
	struct quality *seen = lookup(&qualities, &index);
	__s16 ahead;

	if ((rtp->first & 0xc0) != 0x80 || rtp->ssrc != flow->ssrc || !seen)
		return 0;
	if (rtp->second >= 192 && rtp->second <= 223)
		return 0;
	ahead = (__s16)(SWAP16(rtp->sequence) - (seen->highest & 0xffff));
	if (ahead > MAX_DROPOUT || ahead < -MAX_MISORDER)
		return 0;
	return (flow->payload_types[(type >> 5) & 3] >> (type & 31)) & 1;
}

INLINE void observe(const struct flow *flow, const struct rtp *rtp, __u64 now)
{
	__u32 index = flow->index;
	struct quality *seen = lookup(&qualities, &index);
	__u32 arrival, transit;
	__s32 difference;
	__s16 ahead;

	if (!seen)
		return;
	arrival = (now / 1000) * flow->clock_rate / 1000000;
	transit = arrival - SWAP32(rtp->timestamp);
	ahead = (__s16)(SWAP16(rtp->sequence) - (seen->highest & 0xffff));
	if (ahead > 0)
		seen->highest += ahead;
	if (seen->received > 0) {
		difference = transit - seen->transit;
		if (difference < 0)
			difference = -difference;
		/* A timestamp that leaps is no jitter. */
		if ((__u32)difference < MAX_TRANSIT_CHANGE * flow->clock_rate)
			seen->jitter += difference - ((seen->jitter + 8) >> 4);
	}
	seen->transit = transit;
	seen->payload_type = rtp->second & 0x7f;
	seen->received++;
}

/*
 * The payload moves, not the headers: `csum_start` of a packet whose checksum is still to be made stays right. A sum that the
 * hardware has made of the whole packet is forgotten by the kernel when the length changes.
 */
INLINE int shift(struct __sk_buff *skb, __u32 from, __u32 to, __u32 length)
{
	__u32 zero = 0;
	void *bytes = lookup(&scratch, &zero);
	__u32 total = skb->len;

	if (!bytes || length > MAX_PAYLOAD)
		return -1;
	if (from < to && change_tail(skb, total + 4, 0))
		return -1;
	if (length > 0 && (load_bytes(skb, from, bytes, length) || store_bytes(skb, to, bytes, length, 0)))
		return -1;
	return from < to ? 0 : change_tail(skb, total - 4, 0);
}

/* RFC 8656 §13, §14: hop limit, traffic class and DF are those of the packet that came; a flow label is not made up. */
INLINE int write_ip(struct __sk_buff *skb, const struct seen *seen, const struct flow *flow, __u32 udp_length)
{
	if (flow->family == 4) {
		struct iphdr ip = {};
		ip.version = 4;
		ip.ihl = 5;
		ip.tos = seen->traffic_class;
		ip.tot_len = SWAP16(20 + udp_length);
		ip.id = seen->id;
		ip.frag_off = seen->fragment;
		ip.ttl = seen->hops - 1;
		ip.protocol = IPPROTO_UDP;
		ip.saddr = flow->local[0];
		ip.daddr = flow->remote[0];
		ip.check = header_sum(&ip);
		return store_bytes(skb, 14, &ip, 20, BPF_F_RECOMPUTE_CSUM);
	}
	struct ipv6hdr ip = {};
	*(__be32 *)&ip = SWAP32(0x60000000 | ((__u32)seen->traffic_class << 20));
	ip.payload_len = SWAP16(udp_length);
	ip.nexthdr = IPPROTO_UDP;
	ip.hop_limit = seen->hops - 1;
	__builtin_memcpy(&ip.saddr, flow->local, 16);
	__builtin_memcpy(&ip.daddr, flow->remote, 16);
	return store_bytes(skb, 14, &ip, 40, BPF_F_RECOMPUTE_CSUM);
}

/*
 * RFC 1624, by parts: what the pseudo-header covers, and what the datagram itself holds. Where the sum is still to be made
 * the first part alone counts; where the hardware has made one of the whole packet, the second changes nothing.
 */
INLINE int write_udp(struct __sk_buff *skb, const struct seen *seen, const struct flow *flow, __u32 udp_length,
		     __be32 header_in, __be32 header_out)
{
	__u32 at = 14 + (flow->family == 4 ? 20 : 40);
	__be16 length = SWAP16(udp_length);
	struct {
		__be16 source, destination, length;
	} head = { flow->local_port, flow->remote_port, length };
	__be32 was[9] = {}, is[9] = {};
	__s64 pseudo, inner;

	__builtin_memcpy(was, seen->key.local, 16);
	__builtin_memcpy(was + 4, seen->key.remote, 16);
	was[8] = seen->udp_length;
	__builtin_memcpy(is, flow->local, 16);
	__builtin_memcpy(is + 4, flow->remote, 16);
	is[8] = length;
	pseudo = csum_diff(was, sizeof(was), is, sizeof(is), 0);
	was[0] = ((__u32)seen->key.local_port << 16) | seen->key.remote_port;
	is[0] = ((__u32)flow->local_port << 16) | flow->remote_port;
	was[1] = seen->udp_length;
	is[1] = length;
	was[2] = header_in;
	is[2] = header_out;
	inner = csum_diff(was, 12, is, 12, 0);
	if (pseudo < 0 || inner < 0 || store_bytes(skb, at, &head, 6, 0))
		return -1;
	/* RFC 768: a sum that was not made stays so, and one that comes out as zero is sent as ones. */
	if (l4_csum_replace(skb, at + 6, 0, pseudo, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0))
		return -1;
	return l4_csum_replace(skb, at + 6, 0, inner, BPF_F_MARK_MANGLED_0);
}

INLINE int is_live(__u64 now)
{
	__u32 zero = 0;
	__u64 *until = lookup(&lease, &zero);

	return until && now < *until;
}

/* Whether it is time that the host's connection tracking sees a packet of this flow again. */
INLINE int is_due(const struct flow *flow, __u64 now)
{
	__u32 zero = 0;
	__u64 *longest = lookup(&silence, &zero);

	/* Another CPU may have seen one later than now. */
	return longest && *longest && (__s64)(now - flow->passed) >= (__s64)*longest;
}

SEC("tc")
int relay(struct __sk_buff *skb)
{
	struct seen seen = {};
	struct flow *flow = 0;
	struct rtp rtp = {};
	__be32 header_in = 0, header_out = 0;
	__u32 from, length, udp_length;
	__u64 now;

	if (read(skb, &seen))
		return TC_ACT_UNSPEC;
	from = seen.payload;
	length = seen.length;
	if (length >= 4 && load_bytes(skb, from, &header_in, 4) == 0 && (header_in & 0xc0) == 0x40) {
		seen.key.channel = (__u16)header_in;
		flow = find(&seen.key);
	}
	now = now_ns();
	if (flow) {
		from += 4;
		length -= 4;
		/* RFC 8656 §12.5: padding, or a length that lies. */
		if (SWAP16(header_in >> 16) != length)
			return up_of(flow, UNUSUAL, now);
	} else {
		header_in = 0;
		seen.key.channel = 0;
		flow = find(&seen.key);
	}
	if (!flow)
		return up(MISSED);
	if (now >= flow->expires || !is_live(now))
		return up_of(flow, EXPIRED, now);
	if (length > MAX_PAYLOAD)
		return up_of(flow, TOO_LONG, now);
	if (flow->channel)
		header_out = ((__u32)SWAP16(length) << 16) | flow->channel;
	udp_length = 8 + length + (flow->channel ? 4 : 0);
	if (udp_length + (flow->family == 4 ? 20 : 40) > flow->mtu)
		return up_of(flow, TOO_LONG, now);
	/* RFC 8200 §8.1: a sum that is not there cannot be carried over. */
	if (flow->family == 6 && seen.checksum == 0)
		return up_of(flow, UNUSUAL, now);
	if (flow->kind == KIND_RTP) {
		if (length < 12 || load_bytes(skb, from, &rtp, 12) || !is_media(flow, &rtp) ||
		    !is_whole(skb, from, length, rtp.first))
			return up_of(flow, NOT_MEDIA, now);
	}
	if (is_due(flow, now))
		return up_of(flow, PASSED, now);
	if (flow->other_bucket && !admits(flow->other_bucket, length, now))
		return drop(POLICED);
	if (flow->bucket && !admits(flow->bucket, length, now))
		return drop(POLICED);
	if (flow->kind == KIND_RTP)
		observe(flow, &rtp, now);

	if (!header_in != !header_out) {
		if (shift(skb, from, header_out ? seen.payload + 4 : seen.payload, length))
			return drop(FAILED);
	}
	if (header_out && store_bytes(skb, seen.payload, &header_out, 4, 0))
		return drop(FAILED);
	if (flow->family != seen.key.family && change_proto(skb, SWAP16(flow->family == 4 ? ETH_P_IP : ETH_P_IPV6), 0))
		return drop(FAILED);
	if (write_ip(skb, &seen, flow, udp_length) || write_udp(skb, &seen, flow, udp_length, header_in, header_out))
		return drop(FAILED);

	struct counter *counter = lookup(&counters, &flow->index);
	if (counter) {
		counter->packets++;
		counter->bytes += length;
		counter->last = now;
	}
	up(FORWARDED);
	return redirect_neigh(flow->interface, 0, 0, 0);
}

/* Helpers that only the GPL may call are not called, but programs that say so can be looked into with the kernel's tools. */
char licensed_as[] SEC("license") = "Dual BSD/GPL";

/* For tools/ebpf.ts, so that nobody else says where a member is. */
struct place {
	char name[28];
	__u32 value;
};
#define SIZE(s) { #s ".size", sizeof(struct s) }
#define AT(s, m) { #s "." #m, __builtin_offsetof(struct s, m) }
#define OUTCOME(name) { "outcome." #name, name }

const struct place SEC("layout") places[] = {
	SIZE(flow_key), AT(flow_key, local), AT(flow_key, remote), AT(flow_key, local_port), AT(flow_key, remote_port),
	AT(flow_key, channel), AT(flow_key, family),
	SIZE(flow), AT(flow, local), AT(flow, remote), AT(flow, index), AT(flow, bucket), AT(flow, interface), AT(flow, mtu),
	AT(flow, ssrc), AT(flow, clock_rate), AT(flow, payload_types), AT(flow, expires), AT(flow, passed),
	AT(flow, other_bucket), AT(flow, local_port), AT(flow, remote_port),
	AT(flow, channel), AT(flow, family), AT(flow, kind), AT(flow, key),
	SIZE(counter), AT(counter, packets), AT(counter, bytes), AT(counter, last), AT(counter, up),
	SIZE(bucket), AT(bucket, arrival), AT(bucket, tolerance), AT(bucket, picoseconds_a_byte),
	SIZE(quality), AT(quality, received), AT(quality, highest), AT(quality, jitter),
	AT(quality, transit), AT(quality, payload_type),
	{ "kind.OPAQUE", KIND_OPAQUE }, { "kind.RTP", KIND_RTP },
	OUTCOME(FORWARDED), OUTCOME(MISSED), OUTCOME(UNUSUAL), OUTCOME(EXPIRED), OUTCOME(POLICED), OUTCOME(TOO_LONG),
	OUTCOME(NOT_MEDIA), OUTCOME(FAILED), OUTCOME(PASSED),
};

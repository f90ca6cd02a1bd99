/*
 * An ICE agent made of libnice, which does what it is told. The lines of its standard input are:
 *
 *   credentials UFRAG PWD | candidate:… | end | send COMPONENT TEXT | restart
 *
 * and of its standard output: credentials …, candidate:…, gathering, gathered, met (it was told credentials), state
 * COMPONENT NAME, selected COMPONENT TYPE TYPE, data COMPONENT TEXT. With ICE_PEER_STAMPS in the environment each begins with the milliseconds since 1970.
 *
 *   ice-libnice-peer ADDRESS controlling|controlled COMPONENTS trickle|whole all|relay
 *                    [TURN-HOST PORT USER PASSWORD TRANSPORT [STUN-HOST STUN-PORT]]
 */
#include <nice/agent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static NiceAgent *agent;
static guint stream;
static guint components;
static GSList *remote;
static gboolean stamps;

static void tell(const char *format, ...) {
  va_list values;
  va_start(values, format);
  if (stamps) printf("%.3f ", g_get_real_time() / 1000.0);
  vprintf(format, values);
  va_end(values);
}

static void tell_credentials(void) {
  gchar *ufrag = NULL, *password = NULL;
  nice_agent_get_local_credentials(agent, stream, &ufrag, &password);
  tell("credentials %s %s\n", ufrag, password);
  g_free(ufrag);
  g_free(password);
}

static void tell_candidate(NiceAgent *a, NiceCandidate *candidate, gpointer data) {
  gchar *line = nice_agent_generate_local_candidate_sdp(agent, candidate);
  tell("%s\n", g_str_has_prefix(line, "a=") ? line + 2 : line);
  g_free(line);
}

static void tell_gathered(NiceAgent *a, guint s, gpointer data) { tell("gathered\n"); }

static void tell_state(NiceAgent *a, guint s, guint component, guint state, gpointer data) {
  tell("state %u %s\n", component, nice_component_state_to_string(state));
}

static const char *type_name(NiceCandidate *candidate) {
  static const char *names[] = {"host", "srflx", "prflx", "relay"};
  return names[candidate->type];
}

static void tell_selected(NiceAgent *a, guint s, guint component, NiceCandidate *l, NiceCandidate *r, gpointer data) {
  tell("selected %u %s %s\n", component, type_name(l), type_name(r));
}

static void tell_data(NiceAgent *a, guint s, guint component, guint length, gchar *bytes, gpointer data) {
  tell("data %u %.*s\n", component, (int)length, bytes);
}

/* libnice takes the candidates of one component at a time. */
static void take_remote(void) {
  for (guint component = 1; component <= components; component++) {
    GSList *own = NULL;
    for (GSList *i = remote; i; i = i->next)
      if (((NiceCandidate *)i->data)->component_id == component) own = g_slist_append(own, i->data);
    if (own) nice_agent_set_remote_candidates(agent, stream, component, own);
    g_slist_free(own);
  }
  g_slist_free_full(remote, (GDestroyNotify)nice_candidate_free);
  remote = NULL;
}

static void obey(gchar *line) {
  gchar **words = g_strsplit(line, " ", 3);
  if (words[0] == NULL) {
    tell("refused an empty line\n");
  } else if (g_str_equal(words[0], "credentials")) {
    tell("met\n");
    nice_agent_set_remote_credentials(agent, stream, words[1], words[2]);
  } else if (g_str_has_prefix(line, "candidate:")) {
    gchar *sdp = g_strconcat("a=", line, NULL);
    NiceCandidate *candidate = nice_agent_parse_remote_candidate_sdp(agent, stream, sdp);
    if (candidate) remote = g_slist_append(remote, candidate);
    else tell("refused %s\n", line);
    g_free(sdp);
    take_remote();
  } else if (g_str_equal(words[0], "end")) {
    nice_agent_peer_candidate_gathering_done(agent, stream);
  } else if (g_str_equal(words[0], "send")) {
    nice_agent_send(agent, stream, atoi(words[1]), strlen(words[2]), words[2]);
  } else if (g_str_equal(words[0], "restart")) {
    nice_agent_restart(agent);
    tell_credentials();
  }
  g_strfreev(words);
}

static gboolean read_line(GIOChannel *input, GIOCondition condition, gpointer loop) {
  gchar *line = NULL;
  if (g_io_channel_read_line(input, &line, NULL, NULL, NULL) != G_IO_STATUS_NORMAL) {
    g_main_loop_quit(loop);
    return FALSE;
  }
  obey(g_strchomp(line));
  g_free(line);
  return TRUE;
}

static void use_relay(char **words) {
  static const char *names[] = {"udp", "tcp", "tls"};
  int type = NICE_RELAY_TYPE_TURN_UDP;
  for (int i = 0; i < 3; i++)
    if (g_str_equal(words[4], names[i])) type = i;
  for (guint component = 1; component <= components; component++)
    nice_agent_set_relay_info(agent, stream, component, words[0], atoi(words[1]), words[2], words[3], type);
}

int main(int count, char **words) {
  if (count < 6) return 1;
  setvbuf(stdout, NULL, _IOLBF, 0);
  stamps = g_getenv("ICE_PEER_STAMPS") != NULL;
  GMainLoop *loop = g_main_loop_new(NULL, FALSE);
  NiceAgentOption options = NICE_AGENT_OPTION_REGULAR_NOMINATION | NICE_AGENT_OPTION_CONSENT_FRESHNESS;
  if (g_str_equal(words[4], "trickle")) options |= NICE_AGENT_OPTION_ICE_TRICKLE;
  agent = nice_agent_new_full(NULL, NICE_COMPATIBILITY_RFC5245, options);
  g_object_set(agent, "controlling-mode", g_str_equal(words[2], "controlling"), "upnp", FALSE, "ice-tcp", FALSE,
               "force-relay", g_str_equal(words[5], "relay"), NULL);
  NiceAddress own;
  nice_address_init(&own);
  nice_address_set_from_string(&own, words[1]);
  nice_agent_add_local_address(agent, &own);
  g_signal_connect(agent, "new-candidate-full", G_CALLBACK(tell_candidate), NULL);
  g_signal_connect(agent, "candidate-gathering-done", G_CALLBACK(tell_gathered), NULL);
  g_signal_connect(agent, "component-state-changed", G_CALLBACK(tell_state), NULL);
  g_signal_connect(agent, "new-selected-pair-full", G_CALLBACK(tell_selected), NULL);
  components = atoi(words[3]);
  stream = nice_agent_add_stream(agent, components);
  if (count >= 11) use_relay(words + 6);
  if (count == 13) g_object_set(agent, "stun-server", words[11], "stun-server-port", atoi(words[12]), NULL);
  for (guint component = 1; component <= components; component++)
    nice_agent_attach_recv(agent, stream, component, NULL, tell_data, NULL);
  tell_credentials();
  tell("gathering\n");
  nice_agent_gather_candidates(agent, stream);
  GIOChannel *input = g_io_channel_unix_new(0);
  g_io_add_watch(input, G_IO_IN | G_IO_HUP, read_line, loop);
  g_main_loop_run(loop);
  g_object_unref(agent);
  return 0;
}

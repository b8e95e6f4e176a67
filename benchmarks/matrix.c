/* The limit of what one process can do for benchmarks/matrix: all pairs of n namespaces by ARP or ICMP, by the
 * same frames, in the same waves and with the same proof as netprobe - from 65 on each asks once by broadcast, and
 * it is noted who heard that; round trips are by the kernel's stamps -, and nothing but that.
 *
 *     matrix arp|icmp N      the namespaces are s1 ... sN in /run/netns, as crowds.stations makes them
 *
 * Prints "PAIRS SECONDS": how many pairs answered, and the processor time of the sweep alone.
 * Entries that the run makes in the neighbour table are removed after each wave.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 1024, SIDE = 14, FRAME = 60, ECHO = 64, ARP = 0x0806 };
static int arp[MOST], raw[MOST], route[MOST], n, by_arp;
static unsigned char answered[MOST][MOST], heard[MOST][MOST];
static long long times[MOST][MOST]; /* when it was asked, then how long the answer took, in ns */

static long long now(void) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static void die(const char *what) { perror(what); exit(1); }

static void mac_of(int k, unsigned char *to) { memcpy(to, (unsigned char[]){2, 0, 0, 0, k >> 8, k & 255}, 6); }
static void address_of(int k, unsigned char *to) { memcpy(to, (unsigned char[]){10, 9, k >> 8, k & 255}, 4); }

static void filter(int fd, unsigned short length, struct sock_filter *code) {
    struct sock_fprog program = {length, code};
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program)) die("filter");
}

static void open_station(int k) {
    char path[64];
    snprintf(path, sizeof path, "/run/netns/s%d", k);
    int space = open(path, O_RDONLY | O_CLOEXEC);
    if (space < 0 || setns(space, CLONE_NEWNET)) die(path);
    close(space);
    unsigned char own[4];
    address_of(k, own);
    int size = 1 << 20, on = 1;
    arp[k] = socket(AF_PACKET, SOCK_RAW, 0);
    struct sock_filter replies[] = {
        BPF_STMT(BPF_LD + BPF_W + BPF_ABS, 0), BPF_JUMP(BPF_JMP + BPF_JEQ + BPF_K, 0xffffffff, 4, 0),
        BPF_STMT(BPF_LD + BPF_H + BPF_ABS, 20), BPF_JUMP(BPF_JMP + BPF_JEQ + BPF_K, 2, 0, 3),
        BPF_STMT(BPF_LD + BPF_W + BPF_ABS, 38),
        BPF_JUMP(BPF_JMP + BPF_JEQ + BPF_K, own[0] << 24 | own[1] << 16 | own[2] << 8 | own[3], 0, 1),
        BPF_STMT(BPF_RET + BPF_K, 128), BPF_STMT(BPF_RET + BPF_K, 0)};
    struct sock_filter nothing[] = {BPF_STMT(BPF_RET + BPF_K, 0)};
    if (by_arp) filter(arp[k], 8, replies); else filter(arp[k], 1, nothing);
    setsockopt(arp[k], SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    setsockopt(arp[k], SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    struct sockaddr_ll to = {AF_PACKET, htons(ARP), if_nametoindex("eth0"), 0, 0, 0, {0}};
    if (bind(arp[k], (struct sockaddr *)&to, sizeof to)) die("bind");
    route[k] = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    if (by_arp) return;
    raw[k] = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    struct sock_filter echoes[] = {
        BPF_STMT(BPF_LDX + BPF_B + BPF_MSH, 0), BPF_STMT(BPF_LD + BPF_B + BPF_IND, 0),
        BPF_JUMP(BPF_JMP + BPF_JEQ + BPF_K, 0, 0, 1), BPF_STMT(BPF_RET + BPF_K, 128), BPF_STMT(BPF_RET + BPF_K, 0)};
    filter(raw[k], 5, echoes);
    setsockopt(raw[k], SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    setsockopt(raw[k], SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
}

static void question(int i, int j, int broadcast, unsigned char *frame) {
    memset(frame, 0, FRAME);
    if (broadcast) memset(frame, 255, 6); else mac_of(j, frame);
    mac_of(i, frame + 6);
    memcpy(frame + 12, "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01", 10);
    mac_of(i, frame + 22);
    address_of(i, frame + 28);
    address_of(j, frame + 38);
}

static void echo(int i, int j, unsigned char *packet) {
    memset(packet, 0, ECHO);
    packet[0] = ICMP_ECHO;
    unsigned probe = htonl(i * MOST + j), sum = 0;
    memcpy(packet + 12, &probe, 4);
    for (int at = 0; at < ECHO; at += 2) sum += packet[at] << 8 | packet[at + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~(sum + (sum >> 16)) & 0xffff;
    packet[2] = sum >> 8;
    packet[3] = sum & 255;
}

/* Member i sends to each of the members from `first` to `last`, one by one: of several in one system call all but
 * the first would seem to take longer than they do. What is refused is asked again. */
static void ask(int i, int first, int last, int with_echo) {
    unsigned char data[ECHO];
    struct sockaddr_in whom = {.sin_family = AF_INET};
    for (int j = first; j < last; j++) {
        if (j == i) continue;
        if (with_echo) echo(i, j, data); else question(i, j, 0, data);
        address_of(j, (unsigned char *)&whom.sin_addr);
        times[i][j] = now();
        if (with_echo) sendto(raw[i], data, ECHO, 0, (struct sockaddr *)&whom, sizeof whom);
        else send(arp[i], data, FRAME, 0);
    }
}

static void hear(int i) {
    static unsigned char data[64][128], control[64][64];
    static struct iovec pieces[64];
    static struct mmsghdr messages[64];
    for (int count = 64; count == 64;) {
        for (int k = 0; k < 64; k++) {
            pieces[k] = (struct iovec){data[k], sizeof data[k]};
            messages[k].msg_hdr = (struct msghdr){.msg_iov = &pieces[k], .msg_iovlen = 1,
                .msg_control = control[k], .msg_controllen = sizeof control[k]};
        }
        count = recvmmsg(by_arp ? arp[i] : raw[i], messages, 64, MSG_DONTWAIT, NULL);
        for (int k = 0; k < count; k++) {
            unsigned char *told = data[k] + (by_arp ? 30 : 14);
            int j = told[0] << 8 | told[1];
            struct timespec at;
            memcpy(&at, control[k] + CMSG_LEN(0), sizeof at);
            if (j > n) continue;
            if (by_arp && data[k][21] == 1) heard[j][i] = 1;
            else if (!answered[i][j]) {
                answered[i][j] = 1;
                times[i][j] = at.tv_sec * 1000000000LL + at.tv_nsec - times[i][j];
            }
        }
    }
}

/* Remove the entries of the members from `first` to `last` in the table of member i. */
static void forget(int i, int first, int last) {
    struct { struct nlmsghdr head; struct ndmsg body; struct rtattr kind; unsigned char address[4]; } messages[SIDE];
    int count = 0;
    for (int j = first; j < last; j++) {
        if (j == i) continue;
        memset(&messages[count], 0, sizeof messages[count]);
        messages[count].head = (struct nlmsghdr){sizeof messages[0], RTM_DELNEIGH, NLM_F_REQUEST, 0, 0};
        messages[count].body.ndm_family = AF_INET;
        messages[count].body.ndm_ifindex = 2;
        messages[count].kind = (struct rtattr){8, NDA_DST};
        address_of(j, messages[count++].address);
    }
    char refused[4096];
    if (count && send(route[i], messages, count * sizeof messages[0], 0) < 0) die("netlink");
    while (recv(route[i], refused, sizeof refused, MSG_DONTWAIT) > 0) {}
}

static int missing(int a, int a_end, int b, int b_end) {
    int found = 0;
    for (int i = a; i < a_end; i++)
        for (int j = b; j < b_end; j++) found += i != j && !(answered[i][j] && answered[j][i]);
    return found;
}

static void wave(int a, int a_end, int b, int b_end) {
    for (int tries = 0; tries < 3 && missing(a, a_end, b, b_end); tries++) {
        for (int by_echo = 0; by_echo <= !by_arp; by_echo++) {
            for (int i = a; i < a_end; i++) ask(i, b, b_end, by_echo);
            for (int j = b; a != b && j < b_end; j++) ask(j, a, a_end, by_echo);
        }
        for (int i = a; i < a_end; i++) hear(i);
        for (int j = b; a != b && j < b_end; j++) hear(j);
        if (missing(a, a_end, b, b_end)) usleep(2000);
        for (int i = a; i < a_end; i++) hear(i);
        for (int j = b; a != b && j < b_end; j++) hear(j);
        for (int i = a; i < a_end; i++) forget(i, b, b_end);
        for (int j = b; a != b && j < b_end; j++) forget(j, a, a_end);
    }
}

int main(int argc, char **argv) {
    if (argc != 3 || (n = atoi(argv[2])) < 2 || n >= MOST) return 2;
    by_arp = !strcmp(argv[1], "arp");
    struct rlimit most = {4 * MOST, 4 * MOST};
    setrlimit(RLIMIT_NOFILE, &most);
    for (int k = 1; k <= n; k++) open_station(k);
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    for (int i = 1; n > 64 && i <= n; i++) { /* each speaks once to all, so that the bridge knows where it is */
        unsigned char frame[FRAME];
        question(i, i % n + 1, 1, frame);
        if (send(arp[i], frame, FRAME, 0) < 0 && errno != ENOBUFS) die("send");
        forget(i % n + 1, i, i + 1);
        if (i % 2 == 0) usleep(500); /* its copies wait in the queue of a processor */
        for (int j = 1; i % 64 == 0 && j <= n; j++) hear(j);
    }
    for (int a = 1; a <= n; a += SIDE)
        for (int b = a; b <= n; b += SIDE)
            wave(a, a + SIDE > n ? n + 1 : a + SIDE, b, b + SIDE > n ? n + 1 : b + SIDE);
    getrusage(RUSAGE_SELF, &after);
    long pairs = 0;
    for (int i = 1; i <= n; i++) for (int j = 1; j <= n; j++)
        pairs += i != j && answered[i][j] && (heard[i][j] || n <= 64 || !by_arp);
    double spent = after.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_utime.tv_sec - before.ru_stime.tv_sec
        + (after.ru_utime.tv_usec + after.ru_stime.tv_usec - before.ru_utime.tv_usec - before.ru_stime.tv_usec) / 1e6;
    printf("%ld %.6f\n", pairs, spent);
    return 0;
}

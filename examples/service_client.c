/* A client of the service in C, on hiredis: applies, renews while it works, lists what happened, releases.
 *
 *   service_client SOCKET MASK TIMEOUT_MS [REASON]
 *
 * MASK is a number or names: 33 or CPU|GPS. The service knows from the kernel who calls: nothing here says so. Prints
 * what is in effect, and the events that it caused as far as this user may see them. The exit code is 0, or 1 when the
 * service refused, 2 for wrong usage, 3 when it can't be reached.
 */
#include <hiredis/hiredis.h>
#include <stdio.h>

enum { DONE, REFUSED, USAGE, UNREACHABLE };

/* Takes an answer; says what is wrong with it. */
static int check(redisContext* context, redisReply* reply) {
    if (reply == NULL) {
        fprintf(stderr, "the service went away in the middle: it may or may not have been carried out (%s)\n",
                context->errstr);
        return UNREACHABLE;
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        fprintf(stderr, "%s\n", reply->str); /* WORD code message (detail: rule) */
        return REFUSED;
    }
    return DONE;
}

/* Sends a command of words, and prints the mask that it answers. */
static int change(redisContext* context, const char* what, int count, const char** words) {
    redisReply* reply = redisCommandArgv(context, count, words, NULL);
    const int outcome = check(context, reply);
    if (outcome == DONE) printf("%s: %lld\n", what, reply->integer);
    if (reply != NULL) freeReplyObject(reply);
    return outcome;
}

/* Two changes in one go: both are on their way before the first is answered, and carried out together. */
static int renew_twice(redisContext* context, const char* mask, const char* timeout_ms) {
    const char* words[] = {"APPLY", mask, timeout_ms, "ONLYHELD"};
    for (int i = 0; i < 2; i++) {
        if (redisAppendCommandArgv(context, 4, words, NULL) != REDIS_OK) return UNREACHABLE;
    }
    for (int i = 0; i < 2; i++) {
        redisReply* reply = NULL;
        if (redisGetReply(context, (void**)&reply) != REDIS_OK) reply = NULL;
        const int outcome = check(context, reply);
        if (outcome == DONE) printf("renewed: %lld\n", reply->integer);
        if (reply != NULL) freeReplyObject(reply);
        if (outcome != DONE) return outcome;
    }
    return DONE;
}

/* Prints the events after a number: [after, missed, [[sequence, time, kind, cause, uid, pid, mask, bundle, level]...]]. */
static int list_events(redisContext* context, long long after) {
    redisReply* reply = redisCommand(context, "EVENTS AFTER %lld COUNT 100", after);
    const int outcome = check(context, reply);
    if (outcome == DONE && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3) {
        const redisReply* events = reply->element[2];
        for (size_t i = 0; i < events->elements; i++) {
            redisReply** const event = events->element[i]->element;
            printf("event %lld: %s by %s, mask %lld\n", event[0]->integer, event[2]->str, event[3]->str,
                   event[6]->integer);
        }
    }
    if (reply != NULL) freeReplyObject(reply);
    return outcome;
}

static int work(redisContext* context, int argc, char** argv) {
    const char* apply[] = {"APPLY", argv[2], argv[3], "REASON", argc > 4 ? argv[4] : "an example in C"};
    const char* release[] = {"RELEASE", argv[2]};
    redisReply* last = redisCommand(context, "EVENTS LAST");
    int outcome = check(context, last);
    const long long after = outcome == DONE ? last->integer : 0;
    if (last != NULL) freeReplyObject(last);
    if (outcome == DONE) outcome = change(context, "applied", 5, apply);
    if (outcome == DONE) outcome = renew_twice(context, argv[2], argv[3]);
    if (outcome == DONE) outcome = change(context, "released", 2, release);
    if (outcome == DONE) outcome = list_events(context, after);
    return outcome;
}

int main(int argc, char** argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: %s SOCKET MASK TIMEOUT_MS [REASON]\n", argv[0]);
        return USAGE;
    }
    redisContext* const context = redisConnectUnix(argv[1]);
    if (context == NULL || context->err != 0) {
        fprintf(stderr, "%s: %s\n", argv[1], context == NULL ? "out of memory" : context->errstr);
        if (context != NULL) redisFree(context);
        return UNREACHABLE;
    }
    const int outcome = work(context, argc, argv);
    redisFree(context);
    return outcome;
}

/* Every way a call can end, as one list: the C++ enum, public codes, texts and Python classes all come from it.
 * Macros only, so there is nothing here that threads could share.
 *
 * Codes    An inner code says which rule refused the call; the public code is the one that the documented API names.
 * Public   inner / 100 when the inner code has nine digits or more, 401 for every 98004xx, else the inner code itself.
 * Host     The negative codes are errors of the host (a bad instant or argument); they have no public code.
 */
#ifndef GRANTWHEEL_STATUS_H
#define GRANTWHEEL_STATUS_H

/* X(name, NAME, inner code, the rule) */
#define GRANTWHEEL_STATUS_LIST(X)                                                                                 \
    X(ok, OK, 0, "success")                                                                                       \
    X(time_backwards, TIME_BACKWARDS, -1, "now must not be before an instant that the manager has already seen")  \
    X(time_out_of_range, TIME_OUT_OF_RANGE, -2, "now must be within 0..2^62")                                     \
    X(argument_invalid, ARGUMENT_INVALID, -3,                                                                     \
      "a pointer, a size or an enumerator is not valid, or a limit is out of range")                              \
    X(in_callback, IN_CALLBACK, -4, "a callback of a manager must not call what may change it")                   \
    X(permission_denied, PERMISSION_DENIED, 201,                                                                  \
      "no requested type is allowed, the timeout is above the policy's, the quota refused, or the caller is not " \
      "native")                                                                                                   \
    X(not_system_app, NOT_SYSTEM_APP, 202, "the caller must be a system app or a service extension")              \
    X(argument_count, ARGUMENT_COUNT, 9800401, "the call takes exactly one argument")                             \
    X(reason_invalid, REASON_INVALID, 9800402, "reason")                                                          \
    X(resource_types_invalid, RESOURCE_TYPES_INVALID, 9800413, "resourceTypes")                                   \
    X(is_apply_invalid, IS_APPLY_INVALID, 9800414, "isApply")                                                     \
    X(timeout_invalid, TIMEOUT_INVALID, 9800415, "timeOut")                                                       \
    X(is_persist_invalid, IS_PERSIST_INVALID, 9800416, "isPersist")                                               \
    X(is_process_invalid, IS_PROCESS_INVALID, 9800417, "isProcess")                                               \
    X(cpu_level_argument_invalid, CPU_LEVEL_ARGUMENT_INVALID, 9800418, "cpuLevel")                                \
    X(subscriber_null, SUBSCRIBER_NULL, 401, "the subscriber must not be null")                                   \
    X(out_of_memory, OUT_OF_MEMORY, 980000101, "a limit of the engine is reached, or an allocation failed")       \
    X(parcel_failed, PARCEL_FAILED, 980000201, "a text is not valid UTF-8, or a frame is malformed")              \
    X(transaction_failed, TRANSACTION_FAILED, 980000301, "the command could not be committed")                    \
    X(not_ready, NOT_READY, 980000401, "the manager is not ready")                                                \
    X(not_connected, NOT_CONNECTED, 980000402, "the manager is closed, or the service cannot be reached")         \
    X(subscribed_twice, SUBSCRIBED_TWICE, 980000501, "the subscriber is subscribed already")                      \
    X(subscriber_unknown, SUBSCRIBER_UNKNOWN, 980000502, "the subscriber is not subscribed")                      \
    X(request_invalid, REQUEST_INVALID, 1870000101,                                                               \
      "mask must be within 1..511, timeout within 0..2^32-1 and not 0 for a timed apply, reason at most "         \
      "1024 bytes")                                                                                               \
    X(identity_invalid, IDENTITY_INVALID, 1870000102,                                                             \
      "uid must be within 0..2^32-2, pid within 0..2^31-1, the bundle name at most 1024 bytes")                   \
    X(level_invalid, LEVEL_INVALID, 1870000107, "cpu level must be within -1..2")                                 \
    X(level_not_configured, LEVEL_NOT_CONFIGURED, 1870000108, "the policy has no cpu level limit for the bundle") \
    X(level_bundle_unknown, LEVEL_BUNDLE_UNKNOWN, 1870000109, "the policy does not know the bundle")              \
    X(level_above_limit, LEVEL_ABOVE_LIMIT, 1870000111, "cpu level must not be above the limit of the bundle")    \
    X(query_parcel_failed, QUERY_PARCEL_FAILED, 1870000201, "a text is not valid UTF-8, or a frame is malformed") \
    X(query_not_ready, QUERY_NOT_READY, 1870000401, "the manager is not ready")                                   \
    X(query_not_connected, QUERY_NOT_CONNECTED, 1870000402, "the manager is closed, or the service cannot be reached")

/* X(public code, Python class, message) */
#define GRANTWHEEL_PUBLIC_LIST(X)                                                                                  \
    X(201, PermissionDeniedError, "Permission denied.")                                                            \
    X(202, NotSystemAppError, "Not System App.")                                                                   \
    X(401, ParameterError, "Parameter error.")                                                                     \
    X(9800001, MemoryOperationError, "Memory operation failed.")                                                   \
    X(9800002, ParcelOperationError, "Parcel operation failed.")                                                   \
    X(9800003, TransactionError, "Internal transaction failed.")                                                   \
    X(9800004, ServiceOperationError, "System service operation failed.")                                          \
    X(9800005, ContinuousTaskError, "Continuous task verification failed.")                                        \
    X(18700001, CallerVerificationError, "Caller information verification failed for an energy resource request.") \
    X(18700002, QueryParcelError, "Parcel operation failed.")                                                      \
    X(18700004, QueryServiceError, "System service operation failed.")

#endif

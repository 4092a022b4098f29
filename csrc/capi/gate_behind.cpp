// What a gate has told its log so far, and how the log tells the time.
#include <mutex>

#include "capi/gate.hpp"
#include "capi/values.hpp"

using namespace grantwheel;
using namespace grantwheel::capi;

gw_status gw_gate_flush(gw_gate* gate, uint64_t timeout_ms, uint8_t* is_done) noexcept {
    if (gate == nullptr || is_done == nullptr) return GW_ARGUMENT_INVALID;
    Flush begun;
    {
        const std::scoped_lock lock(*gate->gate);
        begun = gate->gate->begin_flush();
    }
    const Flushed flushed = gate->gate->finish(begun, timeout_ms);
    *is_done = flushed == Flushed::all ? 1 : 0;
    if (gate->gate->has_log()) {
        const std::scoped_lock lock(*gate->gate);
        settle(*gate);
    }
    return flushed == Flushed::failed ? GW_TRANSACTION_FAILED : GW_OK;
}

gw_status gw_gate_settled(gw_gate* gate, uint64_t* sequence) noexcept {
    if (gate == nullptr || sequence == nullptr) return GW_ARGUMENT_INVALID;
    const std::scoped_lock lock(*gate->gate);
    *sequence = gate->gate->settled_sequence();
    return GW_OK;
}

gw_status gw_gate_put_mark(gw_gate* gate, const gw_mark* mark) noexcept {
    if (gate == nullptr || mark == nullptr || !gate->gate->has_log()) return GW_ARGUMENT_INVALID;
    const std::scoped_lock lock(*gate->gate);
    if (const Status status = gate->gate->enter(); status != Status::ok) return code(status);
    const Staged staged = gate->gate->stage_mark(to_mark(*mark));
    if (staged.status != Status::ok) return code(staged.status);
    if (staged.is_answered()) return code(staged.answer.status);
    gate->gate->abandon(staged.ticket);
    return GW_OK;
}

gw_status gw_last_mark(const gw_manager* manager, gw_mark* mark, uint8_t* is_there) noexcept {
    if (manager == nullptr || mark == nullptr || is_there == nullptr) return GW_ARGUMENT_INVALID;
    const Mark* const last = manager->manager->engine().mark();
    *is_there = last != nullptr ? 1 : 0;
    if (last != nullptr) *mark = to_mark(*last);
    return GW_OK;
}

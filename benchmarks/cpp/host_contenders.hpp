// grantwheel as hosts have it: a batch of a manager, a gate with and without a log, and the C ABI.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "grantwheel/gate.hpp"
#include "grantwheel/grantwheel.h"
#include "grantwheel_contenders.hpp"

namespace benchmarks {

// All owners in one call.
class BatchContender : private Owner<grantwheel::Manager>, public OnEngine {
public:
    static constexpr const char* name = "grantwheel manager, batch";

    explicit BatchContender(std::size_t owners)
        : Owner(owners), OnEngine(owned->engine()), masks_(owners, granted_type), results_(owners) {}

    void apply_many(const std::vector<std::uint32_t>& uids, const std::vector<std::uint32_t>& timeouts) {
        grantwheel::Requests rows = rows_of(uids);
        rows.timeouts_ms = grantwheel::Column(timeouts);
        static_cast<void>(owned->request_many(rows, now(), results_));
    }
    void release_many(const std::vector<std::uint32_t>& uids) {
        grantwheel::Requests rows = rows_of(uids);
        rows.is_apply = false;
        static_cast<void>(owned->request_many(rows, now(), results_));
    }

private:
    [[nodiscard]] grantwheel::Requests rows_of(const std::vector<std::uint32_t>& uids) const {
        grantwheel::Requests rows;
        rows.count = uids.size();
        rows.uids = rows.pids = grantwheel::Column(uids);
        rows.masks = grantwheel::Column(masks_);
        return rows;
    }

    std::vector<std::uint32_t> masks_;
    std::vector<grantwheel::Result> results_;
};

// Takes the bytes of groups, and keeps the last of them.
class BytesLog : public grantwheel::Log {
public:
    explicit BytesLog(bool is_immediate) : bytes_(std::size_t{1} << 20), is_immediate_(is_immediate) {}

    [[nodiscard]] grantwheel::Appended append(std::uint64_t after, std::span<const std::byte> group) noexcept override {
        if (group.size() > bytes_.size() - filled_) filled_ = 0;
        if (group.size() > bytes_.size()) return grantwheel::Appended::not_appended;
        std::memcpy(bytes_.data() + filled_, group.data(), group.size());
        filled_ += group.size();
        groups_ = after + 1;
        return grantwheel::Appended::appended;
    }
    grantwheel::Position last() noexcept override { return {true, groups_}; }
    [[nodiscard]] bool is_immediate() const noexcept override { return is_immediate_; }

private:
    std::vector<std::byte> bytes_;
    std::size_t filled_ = 0;
    std::uint64_t groups_ = 0;
    bool is_immediate_;
};

// Whole calls of a gate, on one thread.
class GateContender {
public:
    static constexpr const char* name = "grantwheel gate";

    explicit GateContender(std::size_t owners, grantwheel::Log* log = nullptr)
        : gate_(grantwheel::Gate::create(grantwheel::Manager::create(limits_for(owners)),
                                         {.log = log, .clock = {read_clock, this}})) {}
    GateContender(const GateContender&) = delete;
    GateContender& operator=(const GateContender&) = delete;

    void apply(std::uint32_t uid, std::uint32_t timeout_ms) { change(uid, {.timeout_ms = timeout_ms}); }
    void release(std::uint32_t uid) { change(uid, {.is_apply = false}); }
    [[nodiscard]] bool holds(std::uint32_t uid) {
        bool holds = false;
        const grantwheel::Owner owner{grantwheel::OwnerKind::app, uid};
        static_cast<void>(gate_->read(owner, [&](const grantwheel::Engine& engine, grantwheel::Instant at) {
            holds = engine.mask(owner, at).mask != 0;
        }));
        return holds;
    }
    [[nodiscard]] std::size_t count() {
        std::size_t count = 0;
        static_cast<void>(gate_->read_all([&](const grantwheel::Engine& engine, grantwheel::Instant) {
            count = engine.most_owners(grantwheel::type::ALL);
        }));
        return count;
    }
    void pass_time(std::uint64_t ms) { now_ += ms; }
    void end_due() { static_cast<void>(gate_->advance()); }

private:
    static grantwheel::Instant read_clock(void* context) noexcept { return static_cast<GateContender*>(context)->now_; }
    void change(std::uint32_t uid, grantwheel::Request request) {
        request.mask = granted_type;
        static_cast<void>(gate_->change([&](const grantwheel::Manager& manager, grantwheel::Instant now) {
            return manager.admit(manager.caller(uid, uid), request, now);
        }));
    }

    grantwheel::Instant now_ = 0;
    std::unique_ptr<grantwheel::Gate> gate_;
};

// There before the gate that writes to it.
struct KeptLog {
    BytesLog log;
};

// The same with a log that takes each change at once, or with one for whose groups is waited.
template <bool is_immediate>
class LoggedContender : private KeptLog, public GateContender {
public:
    static constexpr const char* name = is_immediate ? "grantwheel gate, log" : "grantwheel gate, groups";

    explicit LoggedContender(std::size_t owners) : KeptLog{BytesLog(is_immediate)}, GateContender(owners, &log) {}
};

// The C ABI, linked as a shared library.
class CapiContender {
public:
    static constexpr const char* name = "grantwheel C ABI";

    explicit CapiContender(std::size_t owners) {
        gw_limits limits = GW_LIMITS_INIT;
        limits.max_records = limits_for(owners).max_records;
        static_cast<void>(gw_create(&limits, &manager_));
    }
    ~CapiContender() { gw_destroy(manager_); }
    CapiContender(const CapiContender&) = delete;
    CapiContender& operator=(const CapiContender&) = delete;

    void apply(std::uint32_t uid, std::uint32_t timeout_ms) {
        gw_request request = GW_REQUEST_INIT;
        request.timeout_ms = timeout_ms;
        perform(uid, request);
    }
    void release(std::uint32_t uid) {
        gw_request request = GW_REQUEST_INIT;
        request.is_apply = 0;
        perform(uid, request);
    }
    [[nodiscard]] bool holds(std::uint32_t uid) const {
        std::uint32_t mask = 0;
        static_cast<void>(gw_mask(manager_, {GW_OWNER_APP, uid}, now_, &mask));
        return mask != 0;
    }
    [[nodiscard]] std::size_t count() const { return gw_most_owners(manager_, GW_TYPE_ALL); }
    void pass_time(std::uint64_t ms) { now_ += ms; }
    void end_due() { static_cast<void>(gw_advance(manager_, now_, GW_NO_BUDGET, nullptr, nullptr)); }

protected:
    [[nodiscard]] gw_manager* manager() const { return manager_; }
    [[nodiscard]] std::uint64_t now() const { return now_; }

private:
    void perform(std::uint32_t uid, gw_request& request) {
        gw_caller caller = GW_CALLER_INIT;
        caller.system_app = 1;
        caller.uid = uid;
        caller.pid = uid;
        request.mask = granted_type;
        std::uint32_t mask = 0;
        static_cast<void>(gw_perform(manager_, &caller, &request, now_, &mask));
    }

    gw_manager* manager_ = nullptr;
    std::uint64_t now_ = 0;
};

// Its batches.
class CapiBatchContender : public CapiContender {
public:
    static constexpr const char* name = "grantwheel C ABI, batch";

    explicit CapiBatchContender(std::size_t owners)
        : CapiContender(owners), masks_(owners, granted_type), results_(owners) {}

    void apply_many(const std::vector<std::uint32_t>& uids, const std::vector<std::uint32_t>& timeouts) {
        static_cast<void>(gw_apply_many(manager(), uids.size(), uids.data(), uids.data(), masks_.data(),
                                        timeouts.data(), now(), results_.data()));
    }
    void release_many(const std::vector<std::uint32_t>& uids) {
        static_cast<void>(
            gw_release_many(manager(), uids.size(), uids.data(), uids.data(), masks_.data(), now(), results_.data()));
    }
    [[nodiscard]] std::size_t held_of(const std::vector<std::uint32_t>& uids) {
        static_cast<void>(gw_app_masks(manager(), uids.size(), uids.data(), now(), results_.data()));
        std::size_t held = 0;
        for (const gw_result& result : results_) held += std::size_t{result.mask != 0};
        return held;
    }

private:
    std::vector<std::uint32_t> masks_;
    std::vector<gw_result> results_;
};

}  // namespace benchmarks

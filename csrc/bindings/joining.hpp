// What becomes of the begin of a lease, from the moment at which it is staged until it has been carried out. Used under the
// lock, and kept alive by itself in between: whoever waits for it may have been interrupted.
#pragma once

#include <memory>
#include <utility>

#include "bindings/lease.hpp"

namespace grantwheel::bindings {

class Share::Joining final : public Watcher {
public:
    // `keys` by the index of a type, for those of `types`.
    Joining(Claims& claims, const Keys& keys, Mask types) noexcept : claims_(claims), keys_(keys), types_(types) {}

    // From here on who leaves the grant leaves it to this one.
    void stage(std::shared_ptr<Joining> self, Mask types, Claims::Room& room) noexcept {
        types_ = types;
        self_ = std::move(self);
        for_each_type(types_, [&](Mask type) { claims_.expect(key_of(type), room); });
    }
    [[nodiscard]] bool is_staged() const noexcept { return self_ != nullptr; }
    // Nobody wants it any more. Returns what there will be to release behind it: with the generations of now.
    Generations abandon() noexcept {
        is_abandoned_ = true;
        Generations generations{};
        for_each_type(types_, [&](Mask type) { generations[index_of(type)] = claims_.stay_away(key_of(type)); });
        return generations;
    }
    [[nodiscard]] Mask types() const noexcept { return types_; }

    // Once it has been carried out: what was granted.
    [[nodiscard]] Mask granted() const noexcept { return granted_; }
    [[nodiscard]] const Generations& generations() const noexcept { return generations_; }

    // What has gone since anybody looked has nothing to do with what is granted now.
    void executing(const Engine& engine, const Command& command, Instant now) noexcept override {
        if (is_abandoned_) return;
        const Mask held = held_of(engine, command, now);
        for_each_type(types_ & ~held, [&](Mask type) { claims_.end(key_of(type)); });
    }
    void settled(const Result& result) noexcept override {
        const std::shared_ptr<Joining> self = std::move(self_);
        if (is_abandoned_) return;
        granted_ = result.status == Status::ok ? result.mask : 0;
        for_each_type(types_, [&](Mask type) {
            if ((granted_ & type) != 0) {
                generations_[index_of(type)] = claims_.arrive(key_of(type));
            } else {
                claims_.forget_if_free(key_of(type), claims_.stay_away(key_of(type)));
            }
        });
    }

private:
    [[nodiscard]] const Claims::Key& key_of(Mask type) const noexcept { return keys_[index_of(type)]; }

    Claims& claims_;
    Keys keys_;
    Mask types_;
    Mask granted_ = 0;
    Generations generations_{};
    bool is_abandoned_ = false;
    std::shared_ptr<Joining> self_;  // while it is staged
};

}  // namespace grantwheel::bindings

// Managers by uid, each with a lock of its own: for a host with many threads. Thread-safe; all that is asked of one app
// goes to one manager, so calls for different apps seldom wait for each other.
//
// Pids     A pid may be reused by another app, whose uid may be in another shard. One manager sees that by itself;
//          here the others are made to forget the pid before CPU goes to a process.
// Queries  Across all apps: either shard after shard, each at its own instant, or with all locks held at one instant.
// Events   Each shard numbers its own. Those of one app are in order; those of different apps by their time only.
// Limits   Those of each shard: one may be full while others have room.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>
#include <vector>

#include <grantwheel/clock.hpp>
#include <grantwheel/manager.hpp>

// A call takes less than a microsecond. So whoever meets a lock that is taken tries again for a while: to go to sleep and
// be woken costs as much as many calls.
class ShardLock {
public:
    void lock() {
        for (int tries = 0; tries < 200; ++tries) {
            if (mutex_.try_lock()) return;
        }
        mutex_.lock();
    }
    void unlock() { mutex_.unlock(); }

private:
    std::mutex mutex_;
};

class Shards {
public:
    // `limits` are those of each shard. Null when they are out of range or there is no memory.
    static std::unique_ptr<Shards> create(std::size_t count, const grantwheel::Limits& limits) {
        std::unique_ptr<Shards> shards(new Shards(count));
        for (Shard& shard : shards->shards_) {
            shard.manager = grantwheel::Manager::create(limits);
            if (!shard.manager) return nullptr;
        }
        return shards;
    }

    std::size_t size() const { return shards_.size(); }

    grantwheel::Result request(const grantwheel::Caller& caller, const grantwheel::Request& request) {
        Shard& shard = shard_of(caller.uid);
        if (request.is_process && request.is_apply && (request.mask & grantwheel::type::CPU) != 0) {
            return request_for_process(shard, caller, request);
        }
        const std::lock_guard lock(shard.lock);
        // The clock is read under the lock: otherwise another thread may come first with a later instant.
        return shard.manager->request(caller, request, grantwheel::boot_now());
    }

    // The uid says where the process is known. A wrong one finds nothing, as in a single manager.
    grantwheel::Result process_died(std::int64_t uid, std::int64_t pid) {
        Shard& shard = shard_of(uid);
        const std::lock_guard lock(shard.lock);
        const grantwheel::Instant now = grantwheel::boot_now();
        return shard.manager->execute(shard.manager->admit_process_died(uid, pid, now), now);
    }

    grantwheel::Mask app_mask(std::uint32_t uid) {
        Shard& shard = shard_of(uid);
        const std::lock_guard lock(shard.lock);
        return shard.manager->engine().mask({grantwheel::OwnerKind::app, uid}, grantwheel::boot_now()).mask;
    }

    // Shard after shard: an owner counts if it held the type when its shard was asked.
    std::size_t count(grantwheel::Mask type) {
        std::size_t total = 0;
        for (Shard& shard : shards_) {
            const std::lock_guard lock(shard.lock);
            std::size_t here = 0;
            if (shard.manager->engine().count(type, grantwheel::boot_now(), here) == grantwheel::Status::ok)
                total += here;
        }
        return total;
    }

    // All at one instant: every lock is taken, always in the same order, so that nobody waits in a circle.
    std::vector<grantwheel::Owner> holders(grantwheel::Mask type) {
        std::vector<std::unique_lock<ShardLock>> locks;
        locks.reserve(shards_.size());
        for (Shard& shard : shards_) locks.emplace_back(shard.lock);
        const grantwheel::Instant now = grantwheel::boot_now();
        std::vector<grantwheel::Owner> all;
        for (Shard& shard : shards_) {
            std::vector<grantwheel::Owner> here(shard.manager->engine().most_owners(type));
            std::size_t found = 0;
            if (shard.manager->engine().owners(type, nullptr, now, here, found) != grantwheel::Status::ok) continue;
            all.insert(all.end(), here.begin(), here.begin() + static_cast<std::ptrdiff_t>(found));
        }
        std::sort(all.begin(), all.end());
        return all;
    }

    // For a driver: ends what is due in every shard, a slice at a time so that no lock is held for long. It is to come
    // back at the instant that this answers.
    grantwheel::Instant advance(std::size_t slice) {
        grantwheel::Instant wake = grantwheel::no_deadline;
        for (Shard& shard : shards_) {
            for (bool more = true; more;) {
                const std::lock_guard lock(shard.lock);
                more = shard.manager->engine().advance(grantwheel::boot_now(), slice).more;
                if (!more) wake = std::min(wake, shard.manager->engine().wake_at());
            }
        }
        return wake;
    }

    // Gives the new events of every shard, each with its lock held: `take` keeps what it wants and returns soon. The
    // number that are lost because nobody came for them in time.
    template <typename Take>
    std::uint64_t drain(Take take) {
        std::uint64_t missed = 0;
        std::array<grantwheel::Event, 64> events;
        for (Shard& shard : shards_) {
            const std::lock_guard lock(shard.lock);
            for (grantwheel::EventsRead read;
                 (read = shard.manager->engine().read(shard.last_event, events)).count != 0;) {
                std::for_each_n(events.begin(), read.count, take);
                shard.last_event = events[read.count - 1].sequence;
                missed += read.missed;
            }
        }
        return missed;
    }

private:
    struct alignas(64) Shard {  // a cache line of its own
        ShardLock lock;
        std::unique_ptr<grantwheel::Manager> manager;
        std::uint64_t last_event = 0;
    };

    explicit Shards(std::size_t count) : shards_(count) {}

    // Uids come in runs, so neighbours go to different shards. One out of range may go anywhere: it is refused there.
    Shard& shard_of(std::int64_t uid) { return shards_[static_cast<std::uint64_t>(uid) % shards_.size()]; }

    // Before CPU goes to a process, a record of that pid in another shard has to go: it is that of a process which had
    // the same pid and has ended. One lock at a time is enough, for a pid is never that of two living processes.
    grantwheel::Result request_for_process(Shard& own, const grantwheel::Caller& caller,
                                           const grantwheel::Request& request) {
        grantwheel::Admission admission;
        {
            const std::lock_guard lock(own.lock);
            admission = own.manager->admit(caller, request, grantwheel::boot_now());
        }
        if (admission.status == grantwheel::Status::ok && (admission.command.mask & grantwheel::type::CPU) != 0) {
            for (Shard& other : shards_) {
                if (&other != &own) forget_process(other, admission.command.pid);
            }
        }
        const std::lock_guard lock(own.lock);
        return own.manager->execute(admission, grantwheel::boot_now());
    }

    static void forget_process(Shard& shard, std::uint32_t pid) {
        const std::lock_guard lock(shard.lock);
        const grantwheel::Instant now = grantwheel::boot_now();
        grantwheel::RecordView record;
        const grantwheel::Owner process{grantwheel::OwnerKind::process, pid};
        if (shard.manager->engine().find(process, now, record) != grantwheel::Status::ok || record.mask == 0) return;
        (void)shard.manager->execute(shard.manager->admit_process_died(record.uid, pid, now), now);
    }

    std::vector<Shard> shards_;
};

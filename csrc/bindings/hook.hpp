// The quota hook of a manager: the object itself, which threads are in a call of it, and what is put off until they are not.
// For any thread with the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "bindings/clause.hpp"
#include "bindings/gil.hpp"

namespace grantwheel::bindings {

class Hook {
public:
    [[nodiscard]] bool is_set() const noexcept {
        const std::lock_guard lock(mutex_);
        return static_cast<bool>(object_);
    }
    // Null when there is none. It may be replaced while somebody calls it.
    [[nodiscard]] py::object object() const noexcept {
        const std::lock_guard lock(mutex_);
        return object_;
    }
    // Swaps it for another one, or null.
    void swap(py::object& other) noexcept {
        const std::lock_guard lock(mutex_);
        std::swap(object_, other);
    }

    // While it lives this thread is in a call of the hook.
    class Call {
    public:
        explicit Call(const Hook& hook) : hook_(hook) {
            const std::lock_guard lock(hook_.mutex_);
            hook_.threads_.push_back(std::this_thread::get_id());
        }
        ~Call() {
            const std::lock_guard lock(hook_.mutex_);
            hook_.threads_.erase(std::find(hook_.threads_.begin(), hook_.threads_.end(), std::this_thread::get_id()));
        }
        Call(const Call&) = delete;
        Call& operator=(const Call&) = delete;

    private:
        const Hook& hook_;
    };
    // Whether this thread is in one.
    [[nodiscard]] bool is_calling() const noexcept {
        const std::lock_guard lock(mutex_);
        return std::find(threads_.begin(), threads_.end(), std::this_thread::get_id()) != threads_.end();
    }

    // Keeps it until it is done, once.
    void postpone(std::shared_ptr<Unfinished> unfinished) {
        const std::lock_guard lock(mutex_);
        if (std::find(postponed_.begin(), postponed_.end(), unfinished) == postponed_.end()) {
            postponed_.push_back(std::move(unfinished));
        }
    }
    // One of those, which nobody is finishing; null for none.
    [[nodiscard]] std::shared_ptr<Unfinished> next_postponed() const noexcept {
        const std::lock_guard lock(mutex_);
        const auto is_idle = [](const std::shared_ptr<Unfinished>& one) { return !one->is_being_finished(); };
        const auto place = std::find_if(postponed_.begin(), postponed_.end(), is_idle);
        return place == postponed_.end() ? nullptr : *place;
    }
    void forget_postponed(const std::shared_ptr<Unfinished>& done) noexcept {
        const std::lock_guard lock(mutex_);
        std::erase(postponed_, done);
    }

    // For the garbage collector, while nobody else runs.
    [[nodiscard]] PyObject* held() const noexcept { return object_.ptr(); }

private:
    mutable GilOrMutex mutex_;
    py::object object_;
    mutable std::vector<std::thread::id> threads_;
    std::vector<std::shared_ptr<Unfinished>> postponed_;
};

}  // namespace grantwheel::bindings

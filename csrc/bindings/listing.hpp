// Lists of owners that may be long: found in slices, sorted without the lock, and read in pages. One that fits a page is
// of one instant; a longer one has each record as it is when its page is read, and none that has gone by then.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "bindings/shell.hpp"
#include "bindings/views.hpp"

namespace grantwheel::bindings {

class Listing {
public:
    // At most so many as hold any type of a mask, after an owner in the order of lists.
    explicit Listing(Mask mask, std::optional<Owner> after = {}, std::size_t limit = SIZE_MAX)
        : mask_(mask), after_(after), limit_(limit) {}

    // Ends what is due and finds the owners.
    void find(Shell& shell);
    // After that: the owners, in order.
    [[nodiscard]] std::vector<Owner> take_owners();
    // Or else: the next page of their records; empty after the last.
    [[nodiscard]] OwnedViews next_page(Shell& shell);

private:
    [[nodiscard]] bool find_some(const Engine& engine, Instant now);
    // Without any lock, and without the GIL if there are many.
    void sort();
    void read(const Engine& engine, Instant now, OwnedViews& page);

    Mask mask_;
    std::optional<Owner> after_;
    std::size_t limit_;
    std::size_t place_ = 0;     // of the scan
    std::vector<Owner> found_;  // one that has come again maybe twice
    std::size_t sorted_ = 0;    // so many of them are the first, in order
    std::size_t next_ = 0;      // to be read
    std::size_t given_ = 0;     // records that have been read
    OwnedViews first_page_;     // what was read when they were found
};

}  // namespace grantwheel::bindings

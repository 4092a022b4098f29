#include "bindings/batch.hpp"

#include "bindings/shell.hpp"

namespace grantwheel::bindings {

void Shell::ask_quota(Batch& batch) const {
    for (Admission& row : batch.rows()) {
        if (Batch::is_refused(row) || !row.ask_quota) continue;
        if (!ask_quota(row.command)) Batch::refuse(row, Status::permission_denied);
    }
}

// What is on record is carried out, so a row that cannot be recorded is refused alone, and with an interrupt all rows that
// come after it.
void Shell::record(Batch& batch, Instant now) const {
    bool is_interrupted = false;
    for (Admission& row : batch.rows()) {
        if (Batch::is_refused(row)) continue;
        if (is_interrupted) {
            Batch::refuse(row, Status::transaction_failed);
            continue;
        }
        try {
            record(row.command, now);
        } catch (const Refusal& refusal) {
            Batch::refuse(row, refusal.status());
        } catch (const std::bad_alloc&) {
            Batch::refuse(row, Status::out_of_memory);
        } catch (const py::error_already_set& interrupt) {
            raise_afterwards(interrupt);
            is_interrupted = true;
            Batch::refuse(row, Status::transaction_failed);
        }
    }
}

void Shell::change_in_steps(Batch& batch) {
    ask_quota(batch);
    Ended ended;
    const auto carry_out = [&](Session session) {
        return unlocked_by(std::move(session), [&](Manager& manager, Instant now) {
            for (Admission& row : batch.rows()) {
                if (Batch::is_refused(row)) continue;
                Batch::answer(row, manager.execute(row, now));
                note_ended(manager, ended);
            }
            return true;
        });
    };
    if (recorder_) {
        const Turn turn(*this);
        Instant now = 0;
        {
            const Session session = begin();
            now = session.now;
            if (quota_) make_room(session.manager, ended, batch.rows().size());
        }
        record(batch, now);
        Locked locked = lock();
        carry_out({std::move(locked.lock), locked.manager, now});
    } else {
        Session session = begin();
        if (quota_) make_room(session.manager, ended, batch.rows().size());
        carry_out(std::move(session));
    }
    settle(ended);
}

}  // namespace grantwheel::bindings

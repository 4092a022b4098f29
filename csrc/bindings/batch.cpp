#include "bindings/batch.hpp"

#include "bindings/shell.hpp"

namespace grantwheel::bindings {

void Shell::ask_quota(Batch& batch) const {
    for (Admission& row : batch.rows()) {
        if (Batch::is_refused(row) || !row.ask_quota) continue;
        if (!ask_quota(row.command)) Batch::refuse(row, Status::permission_denied);
    }
}

std::vector<Result> Shell::change_many(const Requests& rows) {
    if (!has_quota()) {
        // cppcheck-suppress variableScope ; it is made before the lock is taken
        std::vector<Result> results(rows.count);
        Session session = begin();
        if (!has_quota()) {  // since it has waited for the lock
            const auto stage = [&](const Manager&, Instant) { return gate_->stage_many(rows); };
            finish(unlocked_by(std::move(session), stage), results);
            return results;
        }
    }
    Batch batch(rows);
    unlocked_by(begin(), [&](const Manager& manager, Instant now) {
        check(manager.admit_each(rows, now, [&](std::size_t, const Admission& admission) { batch.add(admission); }));
        return true;
    });
    ask_quota(batch);
    carry_out(batch);
    return std::move(batch.results());
}

void Shell::finish(const Staged& staged, std::span<Result> results) {
    if (staged.status != Status::ok) throw refusal(staged.status);
    if (gate_->is_in_log() && !gate_->answers_at_once()) {
        abandon(staged.ticket);
        return;
    }
    const Answer answer = await(staged.ticket, results);
    settle_logged();
    if (answer.status != Status::ok) throw refusal(answer.status);
}

void Shell::carry_out(Batch& batch) {
    if (log_ != nullptr) {
        const auto stage = [&](const Manager&, Instant) { return gate_->stage_many(batch.rows(), batch.is_apply()); };
        finish(unlocked_by(begin(), stage), batch.results());
        return;
    }
    Ended ended;
    Session session = begin();
    make_room(session.manager, ended, batch.rows().size());
    unlocked_by(std::move(session), [&](Manager& manager, Instant now) {
        for (std::size_t i = 0; i < batch.rows().size(); ++i) {
            batch.results()[i] = manager.execute(batch.rows()[i], now);
            // A row that was refused before has ended nothing; what the engine says still is of the row before it.
            if (!Batch::is_refused(batch.rows()[i])) note_ended(manager, ended);
        }
        return true;
    });
    settle(ended);
}

}  // namespace grantwheel::bindings

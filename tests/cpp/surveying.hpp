// Surveys for tests: what they find without ending anything, and what differs from the numbers of the engine itself.
#pragma once

#include <cstddef>

#include "grantwheel/survey.hpp"

namespace grantwheel::test {

struct Surveyed {
    bool is_done = false;
    Stats stats{};
    Instant next = no_deadline;
};

// Both surveys, in steps of that many places.
inline Surveyed surveyed(const Engine& engine, Instant now, std::size_t budget) {
    Surveyed found;
    for (const Survey::What what : {Survey::What::stats, Survey::What::next_deadline}) {
        const auto survey = Survey::create(engine, what, now);
        if (survey == nullptr) return found;
        Survey::Step step{.more = true};
        while (step.more) step = survey->step(budget);
        if (step.status != Status::ok) return found;
        if (what == Survey::What::stats) found.stats = survey->stats();
        if (what == Survey::What::next_deadline) found.next = survey->next_deadline();
    }
    found.is_done = true;
    return found;
}

// What a survey found wrong, given what the engine says once all that was due has ended; null when nothing.
inline const char* first_difference(const Surveyed& survey, const Stats& stats, Instant next) {
    if (!survey.is_done) return "a survey that is not done";
    if (survey.stats.app_records != stats.app_records) return "a survey: app records";
    if (survey.stats.process_records != stats.process_records) return "a survey: process records";
    for (int type = 0; type < type_count; ++type) {
        if (survey.stats.app_grants[type] != stats.app_grants[type]) return "a survey: grants of apps";
        if (survey.stats.process_grants[type] != stats.process_grants[type]) return "a survey: grants of processes";
    }
    if (survey.stats.granted != stats.granted || survey.stats.renewed != stats.renewed) return "a survey: granted";
    for (std::size_t cause = 0; cause < cause_count; ++cause) {
        if (survey.stats.ended[cause] != stats.ended[cause]) return "a survey: ended";
    }
    if (survey.stats.strings != stats.strings) return "a survey: texts";
    return survey.next == next ? nullptr : "a survey: next deadline";
}

}  // namespace grantwheel::test

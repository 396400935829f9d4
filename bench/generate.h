#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "base/json.h"

namespace skua::bench {

/** Times whole answers and emits a JSON object for each comparison, whose
 *  ways take turns: `tok_s` has the best and median tokens per second of each,
 *  `x` by how much all but the first are faster than it.
 *  - decode: Session::decode with argmax on the host against Generator, which
 *    begins steps ahead, and against it without that
 *  - batch_N: N sequences in a Generator, tokens of all together
 *  - lookup_copy, lookup_sampled, lookup_random: with prompt lookup against
 *    without, where a text repeats itself, where tokens are drawn after such a
 *    text, and where they are drawn from a flat distribution
 *  - draft_greedy, draft_copy, draft_sampled, draft_random: the same with a
 *    draft model, if there is one
 *  - steady: percentiles of the steps of one answer across borders of the
 *    cache's pages
 *  draft  a model's path, or empty
 *  only   tests whose names contain it
 *  n_trials  of each way */
void run_generate_tests(const std::filesystem::path& path,
                        const std::filesystem::path& draft,
                        const std::string& only, int n_trials,
                        const std::function<void(const Json&)>& emit);

}  // namespace skua::bench

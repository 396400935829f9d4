#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "base/json.h"

namespace skua::bench {

/** Times whole answers and emits a JSON object for each comparison, whose two
 *  ways take turns: `tok_s` has the best and median tokens per second of each.
 *  - decode: Session::decode with argmax on the host against Generator, which
 *    begins steps ahead, and against it without that
 *  - batch_N: N sequences in a Generator, tokens of all together
 *  - lookup_copy, lookup_random: with prompt lookup against without, where a
 *    text repeats itself, and where tokens are drawn from a flat distribution
 *  - draft_greedy, draft_copy, draft_sampled, draft_random: the same with a
 *    draft model, if there is one
 *  - steady: percentiles of the steps of one answer across borders of the
 *    cache's pages
 *  draft  a model's path, or empty
 *  only   tests whose names contain it */
void run_generate_tests(const std::filesystem::path& path,
                        const std::filesystem::path& draft,
                        const std::string& only,
                        const std::function<void(const Json&)>& emit);

}  // namespace skua::bench

#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "models/load.h"

namespace skua::bench {

/** One measurement. With n_generated 0 it times a prompt; otherwise it times
 *  steps of `batch` sequences that hold `depth` tokens each. */
struct ModelTest {
  std::string name;
  int n_prompt = 0;
  int n_generated = 0;
  int depth = 0;
  int batch = 1;
  int n_repetitions = 1;
};

const std::vector<ModelTest>& known_tests();

/** The test called `name`. Throws InvalidInput that lists those known. */
ModelTest find_test(const std::string& name);

/** Loads the model and calls `report` with one object for each test: `tok_s`
 *  has the tokens per second of all sequences together, one number for each
 *  repetition, `bytes_per_token` what memory has to be read for one of them
 *  (weights shared by the batch, keys and values in 16 bits), and
 *  `flop_per_token` the arithmetic of a prompt. Tokens are random.
 *  Throws InvalidInput for counts that make no test, and what load_model
 *  throws. */
void run_model_tests(const std::filesystem::path& path,
                     const LoadOptions& options,
                     const std::vector<ModelTest>& tests,
                     const std::function<void(const Json&)>& report);

}  // namespace skua::bench

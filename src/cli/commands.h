#pragma once

namespace CLI {
class App;
}  // namespace CLI

namespace skua::cli {

/** Each adds one subcommand, whose callback does its work. */
void add_run(CLI::App& app);
void add_chat(CLI::App& app);
void add_batch(CLI::App& app);
void add_pull(CLI::App& app);
void add_list(CLI::App& app);
void add_show(CLI::App& app);
void add_tokenize(CLI::App& app);
void add_template(CLI::App& app);
void add_probe(CLI::App& app);
void add_perplexity(CLI::App& app);
void add_score(CLI::App& app);
void add_explain(CLI::App& app);
void add_completion(CLI::App& app);

}  // namespace skua::cli

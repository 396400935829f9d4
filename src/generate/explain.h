#pragma once

#include <map>
#include <string>
#include <vector>

#include "models/load.h"

namespace skua {

/** What a model does on this machine. */
struct Explanation {
  /** Matrices of one name, format and shape, layers apart. */
  struct Matrices {
    std::string name;  // "model.layers.*.mlp.up_proj"
    int n = 0, rows = 0, cols = 0;
    std::string format;          // "affine, 4 bits in groups of 32"
    std::string decode_kernel;   // for one token
    std::string prefill_kernel;  // for a step of a prompt
    std::size_t n_bytes = 0;     // of all n, in memory
  };
  /** Layers whose caches are alike. */
  struct CacheLayers {
    int n = 0;
    int window = 0;              // newest positions that are seen; 0: all
    int keep = 0;                // first ones that are seen beside them
    bool state = false;          // of a recurrence, in place of positions
    std::size_t n_bytes = 0;     // of one layer, with a full context
    std::size_t read_bytes = 0;  // of one layer, for a token at its end
  };
  /** Nodes of a step of one token. */
  struct Nodes {
    std::map<std::string, int> ours, mlx;
  };

  /** Functions that a GPU runs as one kernel each, and how often they were
   *  at hand so far. */
  struct Compiled {
    std::vector<std::string> names;
    std::size_t n_bytes = 0, most_functions = 0, most_bytes = 0;
    std::size_t n_hits = 0, n_misses = 0, n_evictions = 0;
  };

  int context = 0;       // tokens, what the numbers are for
  int prefill_rows = 0;  // tokens of a step of a prompt
  std::vector<Matrices> matrices;
  std::vector<CacheLayers> cache;
  Nodes decode_nodes;
  Compiled compiled;
  std::size_t weight_bytes = 0;  // read for one token
  std::size_t kv_bytes = 0;      // read for one token
  std::size_t cache_bytes = 0;   // held with a full context

  std::size_t bytes_per_token() const { return weight_bytes + kv_bytes; }
};

/** Explains the model for sequences of `context` tokens; runs a step of one
 *  token to see what it is made of. Weights that a step reads are all matrices
 *  but an embedding that is no head, of which it reads a row.
 *  Throws InvalidInput unless context is 1 to 2^20. */
Explanation explain(const LoadedModel& model, int context,
                    const CacheOptions& options);

}  // namespace skua

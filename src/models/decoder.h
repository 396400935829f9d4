#pragma once

#include <memory>
#include <vector>

#include "models/model.h"
#include "models/mtp.h"
#include "models/text_frame.h"
#include "nn/attention.h"
#include "nn/layers.h"
#include "nn/rope.h"

namespace skua {

/** What distinguishes the models that share the Llama layout. */
struct DecoderConfig {
  int vocab_size = 0;
  int dim = 0;
  int hidden_dim = 0;
  float norm_eps = 0;
  bool tied = false;          // the head is the embedding
  AttentionConfig attention;  // its window counts in `sliding` layers only
  std::vector<bool> sliding;  // one for each layer
  RopeConfig rope;
};

/** Refuses sizes that no model has, before anything is built from them: too
 *  many layers, heads that do not share evenly or are too wide, an epsilon
 *  below 0. Throws InvalidInput naming `where` and the field. */
void check_sizes(const std::string& where, int n_layers,
                 const AttentionConfig& attention);

/** The fields that all of them spell alike.
 *  Throws InvalidInput where one is missing or they contradict each other. */
DecoderConfig decoder_config(const Config& config, double default_rope_base);

/** Pre-normed attention and gated MLP with residuals. */
class DecoderBlock {
 public:
  /** sliding  whether the config's window counts */
  DecoderBlock(const Scope& w, const DecoderConfig& config, bool sliding);
  /** x [T, dim] -> [T, dim] */
  mx::array operator()(const mx::array& x, const RotaryAngles& angles,
                       const Batch& batch, LayerCache& cache) const;

 private:
  RmsNorm input_norm_;
  Attention attention_;
  RmsNorm mlp_norm_;
  GatedMlp mlp_;
};

/** Llama's layout: embedding, blocks, final norm, head. */
class Decoder final : public CausalLM {
 public:
  Decoder(const DecoderConfig& config, const Scope& w);

  int n_layers() const override { return static_cast<int>(blocks_.size()); }
  int vocab_size() const override { return frame_.vocab_size(); }
  const MtpHead* mtp() const override { return mtp_.get(); }
  void set_mtp(std::unique_ptr<const MtpHead> head) { mtp_ = std::move(head); }

  /** What a head for multi-token prediction shares. */
  const TextFrame& frame() const { return frame_; }

 private:
  // [T, dim], before the final norm.
  mx::array run_blocks(const mx::array& ids, const Batch& batch, Cache& cache,
                       ResultRows rows) const;
  mx::array logits(const mx::array& ids, const Batch& batch,
                   Cache& cache) const override;
  Step logits_and_hidden(const mx::array& ids, const Batch& batch,
                         Cache& cache) const override;

  TextFrame frame_;
  std::vector<DecoderBlock> blocks_;
  Rope rope_;
  std::unique_ptr<const MtpHead> mtp_;
};

/** The model, with the leftovers dropped and, where it is tied, the head. */
std::unique_ptr<Decoder> build_decoder(const DecoderConfig& config,
                                       Weights& weights);

}  // namespace skua

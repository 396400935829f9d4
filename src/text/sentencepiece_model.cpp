#include <cmath>

#include "skua/error.h"
#include "text/proto_reader.h"
#include "text/sentencepiece.h"

namespace skua {
namespace {

// Numbers of fields in sentencepiece_model.proto.
constexpr std::uint32_t kPieces = 1, kTrainerSpec = 2, kNormalizerSpec = 3;

void read_piece(ProtoReader reader, SentencePieceSpec& spec) {
  std::string_view text = "";
  float score = 0;
  std::int32_t type = 1;
  while (reader.next()) {
    if (reader.field() == 1) text = reader.bytes();
    if (reader.field() == 2) score = reader.number();
    if (reader.field() == 3) type = reader.signed_integer();
  }
  if (!std::isfinite(score)) reader.fail("has a score that is no number");
  if (type < 1 || type > 6)
    reader.fail("has the type " + std::to_string(type) + ", expected 1 to 6");
  spec.pieces.push_back(text);
  spec.scores.push_back(score);
  spec.types.push_back(static_cast<PieceType>(type));
}

void read_trainer(ProtoReader reader, SentencePieceSpec& spec) {
  std::uint64_t model = 1;
  std::int32_t unk = 0, bos = 1, eos = 2, pad = -1;
  while (reader.next()) {
    switch (reader.field()) {
      case 3:
        model = reader.integer();
        break;
      case 24:
        spec.whitespace_as_suffix = reader.boolean();
        break;
      case 35:
        spec.byte_fallback = reader.boolean();
        break;
      case 40:
        unk = reader.signed_integer();
        break;
      case 41:
        bos = reader.signed_integer();
        break;
      case 42:
        eos = reader.signed_integer();
        break;
      case 43:
        pad = reader.signed_integer();
        break;
      default:
        break;
    }
  }
  if (model < 1 || model > 4)
    reader.fail("has the model type " + std::to_string(model) +
                ", expected 1 to 4");
  spec.model = static_cast<SentencePieceSpec::Model>(model);
  const auto set = [](std::int32_t id, std::optional<std::int32_t>& to) {
    to = id < 0 ? std::nullopt : std::optional(id);
  };
  set(unk, spec.unk);
  set(bos, spec.bos);
  set(eos, spec.eos);
  set(pad, spec.pad);
}

void read_normalizer(ProtoReader reader, SentencePieceSpec& spec) {
  while (reader.next()) {
    if (reader.field() == 2) spec.charsmap = reader.bytes();
    if (reader.field() == 3) spec.add_dummy_prefix = reader.boolean();
    if (reader.field() == 4) spec.remove_extra_whitespaces = reader.boolean();
    if (reader.field() == 5) spec.escape_whitespaces = reader.boolean();
  }
}

}  // namespace

SentencePieceSpec read_sentencepiece(std::string_view bytes,
                                     const std::string& where) {
  SentencePieceSpec spec;
  spec.where = where;
  ProtoReader reader(bytes, where);
  while (reader.next()) {
    const std::uint32_t field = reader.field();
    if (field == kPieces)
      read_piece({reader.bytes(),
                  where + " token " + std::to_string(spec.pieces.size())},
                 spec);
    if (field == kTrainerSpec)
      read_trainer({reader.bytes(), where + " trainer_spec"}, spec);
    if (field == kNormalizerSpec)
      read_normalizer({reader.bytes(), where + " normalizer_spec"}, spec);
  }
  if (spec.pieces.empty()) reader.fail("has no tokens");
  const auto n = static_cast<std::int32_t>(spec.pieces.size());
  for (auto* id : {&spec.unk, &spec.bos, &spec.eos, &spec.pad})
    if (*id && **id >= n) id->reset();
  return spec;
}

}  // namespace skua

#include "text/jinja_value.h"

namespace skua::jinja {

std::string Heap::str(const Value& value) {
  if (const auto* text = value.string()) return text->text;
  if (value.is_undefined()) return "";
  return repr(value);
}

std::string Heap::repr(const Value& value) {
  std::string out;
  repr_to(out, value);
  return out;
}

void Heap::repr_to(std::string& out, const Value& value) {
  step();
  if (value.is_none()) {
    append(out, "None");
  } else if (const auto* boolean = value.boolean()) {
    append(out, *boolean ? "True" : "False");
  } else if (const auto integer = value.integer()) {
    append(out, repr_int(*integer));
  } else if (const auto* number = value.floating()) {
    append(out, repr_float(*number));
  } else if (const auto* text = value.string()) {
    work(text->text.size());
    const std::string quoted = repr_string(text->text);
    append(out, text->markup ? "Markup(" + quoted + ")" : quoted);
  } else if (const auto* sequence = value.sequence()) {
    repr_sequence(out, *sequence);
  } else if (const auto* dict = value.dict()) {
    append(out, "{");
    for (std::size_t i = 0; i < dict->items.size(); ++i) {
      if (i > 0) append(out, ", ");
      repr_to(out, dict->items[i].first);
      append(out, ": ");
      repr_to(out, dict->items[i].second);
    }
    append(out, "}");
  } else if (value.is_undefined()) {
    append(out, "Undefined");
  } else {
    append(out, value.object()->repr());
  }
}

void Heap::repr_sequence(std::string& out, const SequenceData& sequence) {
  std::string_view open = "[", close = "]";
  switch (sequence.kind) {
    case SequenceKind::kList:
      break;
    case SequenceKind::kTuple:
      open = "(";
      close = sequence.items.size() == 1 ? ",)" : ")";
      break;
    case SequenceKind::kRange:
      return append(out, sequence.text);
    case SequenceKind::kGenerator:
      return append(out, "<generator object>");
    case SequenceKind::kKeys:
      open = "dict_keys([";
      close = "])";
      break;
    case SequenceKind::kValues:
      open = "dict_values([";
      close = "])";
      break;
    case SequenceKind::kItems:
      open = "dict_items([";
      close = "])";
      break;
  }
  append(out, open);
  for (std::size_t i = 0; i < sequence.items.size(); ++i) {
    if (i > 0) append(out, ", ");
    repr_to(out, sequence.items[i]);
  }
  append(out, close);
}

}  // namespace skua::jinja

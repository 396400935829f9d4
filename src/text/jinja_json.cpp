#include <algorithm>
#include <cmath>

#include "text/jinja_eval.h"
#include "text/jinja_sort.h"

namespace skua::jinja {
namespace {

void append_escape(std::string& out, unsigned code) {
  static constexpr char kDigits[] = "0123456789abcdef";
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) {
    out += kDigits[(code >> shift) & 15];
  }
}

/** json.dumps as the template asked for it. */
class JsonWriter {
 public:
  explicit JsonWriter(Heap& heap) : heap_(heap) {}

  bool ensure_ascii = false;
  bool sort_keys = false;
  bool indented = false;
  std::string indent;
  std::string item_separator = ", ";
  std::string key_separator = ": ";

  std::string write(const Value& value) {
    write_value(value, 0);
    return std::move(out_);
  }

 private:
  Heap& heap_;
  std::string out_;

  void put(std::string_view text) { heap_.append(out_, text); }

  void new_line(std::size_t level) {
    if (!indented) return;
    put("\n");
    for (std::size_t i = 0; i < level; ++i) {
      heap_.work(indent.size());
      put(indent);
    }
  }

  void write_string(std::string_view text) {
    heap_.work(text.size());
    std::string quoted = "\"";
    for (std::size_t pos = 0; pos < text.size();) {
      const char32_t c = next_char(text, pos);
      static constexpr std::string_view kFrom = "\"\\\n\r\t\f\b";
      static constexpr std::string_view kTo = "\"\\nrtfb";
      const auto at =
          c < 0x80 ? kFrom.find(static_cast<char>(c)) : std::string_view::npos;
      if (at != std::string_view::npos) {
        quoted += '\\';
        quoted += kTo[at];
      } else if (c < 0x20 || (ensure_ascii && c >= 0x7F && c < 0x10000)) {
        if (c == 0x7F) {
          quoted += '\x7F';
        } else {
          append_escape(quoted, c);
        }
      } else if (ensure_ascii && c >= 0x10000) {
        append_escape(quoted, 0xD800 + ((c - 0x10000) >> 10));
        append_escape(quoted, 0xDC00 + ((c - 0x10000) & 0x3FF));
      } else {
        append_char(quoted, c);
      }
    }
    put(quoted + "\"");
  }

  static std::string float_text(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return repr_float(value);
  }

  void write_key(const Value& key) {
    if (const auto* text = key.string()) return write_string(text->text);
    if (const auto* boolean = key.boolean()) {
      return write_string(*boolean ? "true" : "false");
    }
    if (const auto integer = key.integer()) {
      return write_string(repr_int(*integer));
    }
    if (key.floating()) return write_string(float_text(key.number()));
    if (key.is_none()) return write_string("null");
    throw Failure{"keys must be str, int, float, bool or None, not " +
                  type_name(key)};
  }

  void write_value(const Value& value, std::size_t level) {
    heap_.step();
    if (value.is_none()) {
      put("null");
    } else if (const auto* boolean = value.boolean()) {
      put(*boolean ? "true" : "false");
    } else if (const auto integer = value.integer()) {
      put(repr_int(*integer));
    } else if (value.floating()) {
      put(float_text(value.number()));
    } else if (const auto* text = value.string()) {
      write_string(text->text);
    } else if (const auto* dict = value.dict()) {
      write_dict(*dict, level);
    } else if (value.is(SequenceKind::kList) ||
               value.is(SequenceKind::kTuple)) {
      write_list(value.sequence()->items, level);
    } else {
      throw Failure{"Object of type " + type_name(value) +
                    " is not JSON serializable"};
    }
  }

  void write_list(const std::vector<Value>& items, std::size_t level) {
    if (items.empty()) return put("[]");
    put("[");
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) put(item_separator);
      new_line(level + 1);
      write_value(items[i], level + 1);
    }
    new_line(level);
    put("]");
  }

  void write_dict(const DictData& dict, std::size_t level) {
    if (dict.items.empty()) return put("{}");
    std::vector<const std::pair<Value, Value>*> items;
    for (const auto& item : dict.items) items.push_back(&item);
    if (sort_keys) {
      for (const auto& item : dict.items) {
        heap_.compare(dict.items[0].first, item.first);
      }
      merge_sort(items, [&](auto* a, auto* b) {
        return heap_.compare(a->first, b->first) < 0;
      });
    }
    put("{");
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) put(item_separator);
      new_line(level + 1);
      write_key(items[i]->first);
      put(key_separator);
      write_value(items[i]->second, level + 1);
    }
    new_line(level);
    put("}");
  }
};

}  // namespace

Value to_json(Interpreter& interpreter, const Value& value, const Args& args) {
  Heap& heap = interpreter.heap();
  const auto bound = bind(
      args, "tojson", {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonWriter writer(heap);
  if (bound[0]) writer.ensure_ascii = heap.truth(*bound[0]);
  if (bound[3]) writer.sort_keys = heap.truth(*bound[3]);
  if (bound[1] && !bound[1]->is_none()) {
    writer.indented = true;
    writer.item_separator = ",";
    if (const auto* text = bound[1]->string()) {
      writer.indent = text->text;
    } else {
      const auto width =
          std::max<std::int64_t>(0, index_of(*bound[1], "tojson"));
      heap.reserve(static_cast<std::size_t>(width));
      writer.indent.assign(static_cast<std::size_t>(width), ' ');
    }
  }
  if (bound[2] && !bound[2]->is_none()) {
    const auto parts = heap.iterate(*bound[2]);
    if (parts.size() != 2) throw Failure{"tojson: separators must be a pair"};
    writer.item_separator = text_of(parts[0], "tojson");
    writer.key_separator = text_of(parts[1], "tojson");
  }
  return heap.string(writer.write(value));
}

}  // namespace skua::jinja

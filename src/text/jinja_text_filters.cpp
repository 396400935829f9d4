#include <algorithm>
#include <cctype>

#include "text/jinja_filters.h"

namespace skua::jinja {
namespace {

std::string soft_text(Interpreter& interpreter, const Value& value) {
  std::string text = interpreter.heap().str(value);
  interpreter.heap().work(text.size());
  return text;
}

template <std::string (*kChange)(std::string_view)>
Value changed_case(Interpreter& interpreter, const Value& value,
                   const Args& args) {
  bind(args, "filter", {});
  return interpreter.heap().string(kChange(soft_text(interpreter, value)));
}

std::string title(std::string_view text) {
  std::string out;
  bool starts = true;
  std::string word;
  const auto flush = [&] {
    out += to_capitalized(word);
    word.clear();
  };
  for (std::size_t pos = 0; pos < text.size();) {
    const std::size_t begin = pos;
    const char32_t c = next_char(text, pos);
    starts =
        is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    if (starts) {
      flush();
      out += text.substr(begin, pos - begin);
    } else {
      word += text.substr(begin, pos - begin);
    }
  }
  flush();
  return out;
}

Value to_string(Interpreter& interpreter, const Value& value,
                const Args& args) {
  bind(args, "string", {});
  return value.string()
             ? value
             : interpreter.heap().string(interpreter.heap().str(value));
}

Value safe(Interpreter& interpreter, const Value& value, const Args& args) {
  bind(args, "safe", {});
  return interpreter.heap().string(soft_text(interpreter, value), true);
}

Value escape(Interpreter& interpreter, const Value& value, const Args& args) {
  bind(args, "escape", {});
  if (value.string() && value.string()->markup) return value;
  return interpreter.heap().string(escape_html(soft_text(interpreter, value)),
                                   true);
}

Value force_escape(Interpreter& interpreter, const Value& value,
                   const Args& args) {
  bind(args, "forceescape", {});
  return interpreter.heap().string(escape_html(soft_text(interpreter, value)),
                                   true);
}

Value trim(Interpreter& interpreter, const Value& value, const Args& args) {
  const auto bound = bind(args, "trim", {"chars"});
  const std::string text = soft_text(interpreter, value);
  const bool markup = value.string() && value.string()->markup;
  if (!bound[0] || bound[0]->is_none()) {
    return interpreter.heap().string(
        std::string(strip(text, nullptr, true, true)), markup);
  }
  const std::string_view chars = text_of(*bound[0], "trim");
  return interpreter.heap().string(std::string(strip(text, &chars, true, true)),
                                   markup);
}

Value replace(Interpreter& interpreter, const Value& value, const Args& args) {
  const auto bound = bind(args, "replace", {"old", "new", "count"}, 2);
  Heap& heap = interpreter.heap();
  const std::int64_t count =
      bound[2] && !bound[2]->is_none() ? index_of(*bound[2], "replace") : -1;
  const std::string text = soft_text(interpreter, value);
  return heap.string(replace_text(heap, text, heap.str(*bound[0]),
                                  heap.str(*bound[1]), count));
}

Value indent(Interpreter& interpreter, const Value& value, const Args& args) {
  const auto bound = bind(args, "indent", {"width", "first", "blank"});
  Heap& heap = interpreter.heap();
  std::string prefix(4, ' ');
  if (bound[0] && bound[0]->string()) {
    prefix = bound[0]->string()->text;
  } else if (bound[0]) {
    const auto width = std::max<std::int64_t>(0, index_of(*bound[0], "indent"));
    heap.reserve(static_cast<std::size_t>(width));
    prefix.assign(static_cast<std::size_t>(width), ' ');
  }
  const bool first = bound[1] && heap.truth(*bound[1]);
  const bool blank = bound[2] && heap.truth(*bound[2]);
  const std::string text = text_of(value, "indent") + "\n";
  heap.work(text.size());
  std::string out = first ? prefix : "";
  bool is_first = true;
  for (const auto line : split_lines(text)) {
    if (!is_first) {
      heap.append(out, "\n");
      if (blank || !line.empty()) heap.append(out, prefix);
    }
    heap.append(out, line);
    is_first = false;
  }
  return heap.string(std::move(out), value.string()->markup);
}

Value center(Interpreter& interpreter, const Value& value, const Args& args) {
  const auto bound = bind(args, "center", {"width"});
  const Value text = interpreter.heap().string(soft_text(interpreter, value));
  return call_string_method(interpreter, text, "center",
                            {{bound[0] ? *bound[0] : Value(Int{80})}, {}});
}

Value truncate(Interpreter& interpreter, const Value& value, const Args& args) {
  const auto bound =
      bind(args, "truncate", {"length", "killwords", "end", "leeway"});
  Heap& heap = interpreter.heap();
  const std::int64_t length = bound[0] ? index_of(*bound[0], "truncate") : 255;
  const std::string end = bound[2] ? text_of(*bound[2], "truncate") : "...";
  const std::int64_t leeway =
      bound[3] && !bound[3]->is_none() ? index_of(*bound[3], "truncate") : 5;
  const auto end_size = static_cast<std::int64_t>(char_count(end));
  if (length < end_size || leeway < 0) {
    throw Failure{"truncate: expected length >= " + std::to_string(end_size) +
                  ", got " + std::to_string(length)};
  }
  const std::string& text = text_of(value, "truncate");
  if (static_cast<std::int64_t>(heap.length(value)) <= length + leeway) {
    return value;
  }
  std::string kept = text.substr(
      0, byte_offset(text, static_cast<std::size_t>(length - end_size)));
  if (!bound[1] || !heap.truth(*bound[1])) {
    if (const auto space = kept.rfind(' '); space != std::string::npos) {
      kept.resize(space);
    }
  }
  return heap.string(kept + end);
}

Value word_count(Interpreter& interpreter, const Value& value,
                 const Args& args) {
  bind(args, "wordcount", {});
  const std::string text = soft_text(interpreter, value);
  Int count = 0;
  bool inside = false;
  for (std::size_t pos = 0; pos < text.size();) {
    const char32_t c = next_char(text, pos);
    const bool word = is_alpha(c) || is_numeric(c) || c == '_';
    if (word && !inside) ++count;
    inside = word;
  }
  return count;
}

Value url_encode(Interpreter& interpreter, const Value& value,
                 const Args& args) {
  bind(args, "urlencode", {});
  Heap& heap = interpreter.heap();
  const auto quote = [&](const Value& part, bool query) {
    static constexpr std::string_view kPlain = "_.-~/";
    static constexpr char kDigits[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : heap.str(part)) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 0x80 &&
          (std::isalnum(byte) || (kPlain.find(c) != std::string_view::npos &&
                                  !(query && c == '/')))) {
        out += c;
      } else if (query && c == ' ') {
        out += '+';
      } else {
        out += '%';
        out += kDigits[byte >> 4];
        out += kDigits[byte & 15];
      }
    }
    return out;
  };
  if (value.string() || (!value.dict() && !value.sequence())) {
    return heap.string(quote(value, false));
  }
  std::string out;
  const auto add = [&](const Value& key, const Value& item) {
    if (!out.empty()) out += '&';
    heap.append(out, quote(key, true) + "=" + quote(item, true));
  };
  if (const auto* dict = value.dict()) {
    for (const auto& [key, item] : dict->items) add(key, item);
  } else {
    for (const auto& item : heap.iterate(value)) {
      const auto pair = heap.iterate(item);
      if (pair.size() != 2) throw Failure{"urlencode: expected pairs"};
      add(pair[0], pair[1]);
    }
  }
  return heap.string(std::move(out));
}

Value format(Interpreter& interpreter, const Value& value, const Args& args) {
  Heap& heap = interpreter.heap();
  if (!args.positional.empty() && !args.named.empty()) {
    throw Failure{
        "can't handle positional and keyword arguments at the same "
        "time"};
  }
  Value values = heap.tuple(args.positional);
  if (!args.named.empty()) {
    Pairs pairs;
    for (const auto& [name, each] : args.named) {
      pairs.emplace_back(heap.string(name), each);
    }
    values = heap.dict(std::move(pairs));
  }
  return heap.string(
      format_percent(heap, soft_text(interpreter, value), values));
}

}  // namespace

void add_text_filters(FilterTable& table) {
  table["capitalize"] = changed_case<to_capitalized>;
  table["center"] = center;
  table["e"] = escape;
  table["escape"] = escape;
  table["forceescape"] = force_escape;
  table["format"] = format;
  table["indent"] = indent;
  table["lower"] = changed_case<to_lower>;
  table["replace"] = replace;
  table["safe"] = safe;
  table["string"] = to_string;
  table["title"] = changed_case<title>;
  table["trim"] = trim;
  table["truncate"] = truncate;
  table["upper"] = changed_case<to_upper>;
  table["urlencode"] = url_encode;
  table["wordcount"] = word_count;
}

}  // namespace skua::jinja

#include <map>
#include <string>

#include "text/json_schema_expand.h"

namespace skua {
namespace {

std::string whole(const std::string& pattern) {
  return "^(?:" + pattern + ")$";
}

// RFC 3339 with its days of each month and leap years.
std::string date() {
  const std::string leap_year =
      "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|"
      "(?:[02468][048]|[13579][26])00)";
  return "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|"
         "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|"
         "02-(?:0[1-9]|1[0-9]|2[0-8]))|" +
         leap_year + "-02-29)";
}

// Leap seconds stand at midnight UTC.
std::string time() {
  return "(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]+)?"
         "(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])|"
         "23:59:60(?:\\.[0-9]+)?(?:[Zz]|[+-]00:00))";
}

// RFC 3339, appendix A.
std::string duration() {
  const std::string time =
      "T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)";
  return "P(?:[0-9]+W|(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|"
         "[0-9]+M(?:[0-9]+D)?|[0-9]+D)(?:" +
         time + ")?|" + time + ")";
}

std::string ipv4() {
  const std::string byte = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
  return "(?:" + byte + "\\.){3}" + byte;
}

// RFC 4291, section 2.2: n groups, where :: stands, then the others.
std::string ipv6() {
  const std::string group = "[0-9a-fA-F]{1,4}";
  const std::string last = "(?:" + group + ":" + group + "|" + ipv4() + ")";
  const auto groups = [&](int n) {
    return "(?:" + group + ":){" + std::to_string(n) + "}";
  };
  const auto before = [&](int most) {
    return "(?:(?:" + group + ":){0," + std::to_string(most) + "}" + group +
           ")?";
  };
  std::string text = groups(6) + last + "|::" + groups(5) + last;
  for (int n = 4; n >= 0; --n)
    text += "|" + before(4 - n) + "::" + groups(n) + last;
  text += "|" + before(5) + "::" + group;
  return text + "|" + before(6) + "::";
}

// RFC 1123 in two sizes that keep within 253 characters: three labels of up
// to 63, or ten of up to 24.
std::string host_name() {
  const std::string a = "[a-zA-Z0-9]", h = "[a-zA-Z0-9-]";
  const auto label = [&](int most) {
    return a + "(?:" + a + "|" + h + "{1,2}" + a + "|" + h + "(?:" + a + h +
           "|-" + a + ")" + h + "{0," + std::to_string(most - 5) + "}" + a +
           ")?";
  };
  const auto labels = [&](int length, int n) {
    return label(length) + "(?:\\." + label(length) + "){0," +
           std::to_string(n - 1) + "}";
  };
  return labels(63, 3) + "|" + labels(24, 10);
}

// RFC 5321, section 4.1.2, without domains of IPv6.
std::string email() {
  const std::string atom = "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+";
  const std::string quoted = "\"(?:[ !#-\\x5b\\x5d-~]|\\\\[ -~])*\"";
  const std::string label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";
  return "(?:" + atom + "(?:\\." + atom + ")*|" + quoted + ")@(?:" + label +
         "(?:\\." + label + ")*|\\[" + ipv4() + "\\])";
}

// RFC 3986, appendix A.
std::string uri(bool relative) {
  const std::string c = "(?:[a-zA-Z0-9._~!$&'()*+,;=:@-]|%[0-9a-fA-F]{2})";
  const std::string no_colon =
      "(?:[a-zA-Z0-9._~!$&'()*+,;=@-]|%[0-9a-fA-F]{2})";
  const std::string name = "(?:[a-zA-Z0-9._~!$&'()*+,;=-]|%[0-9a-fA-F]{2})*";
  const std::string user = "(?:[a-zA-Z0-9._~!$&'()*+,;=:-]|%[0-9a-fA-F]{2})*@";
  const std::string host = "(?:\\[(?:" + ipv6() + ")\\]|" + name + ")";
  const std::string authority =
      "//(?:" + user + ")?" + host + "(?::[0-9]*)?(?:/" + c + "*)*";
  const std::string absolute = "/(?:" + c + "+(?:/" + c + "*)*)?";
  const std::string tail =
      "(?:\\?(?:" + c + "|[/?])*)?(?:#(?:" + c + "|[/?])*)?";
  const std::string rootless = c + "+(?:/" + c + "*)*";
  const std::string full = "[a-zA-Z][a-zA-Z0-9+.-]*:(?:" + authority + "|" +
                           absolute + "|" + rootless + ")?" + tail;
  if (!relative) return full;
  return full + "|(?:" + authority + "|" + absolute + "|" + no_colon + "+(?:/" +
         c + "*)*)?" + tail;
}

}  // namespace

const char* format_pattern(const std::string& name) {
  static const std::map<std::string, std::string> patterns = {
      {"date", whole(date())},
      {"time", whole(time())},
      {"date-time", whole(date() + "[Tt]" + time())},
      {"duration", whole(duration())},
      {"email", whole(email())},
      {"hostname", whole(host_name())},
      {"ipv4", whole(ipv4())},
      {"ipv6", whole(ipv6())},
      {"uri", whole(uri(false))},
      {"uri-reference", whole(uri(true))},
      {"uuid", whole("[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")},
      {"json-pointer", whole("(?:/(?:[^~/]|~[01])*)*")},
      {"relative-json-pointer",
       whole("(?:0|[1-9][0-9]*)(?:#|(?:/(?:[^~/]|~[01])*)*)")},
  };
  const auto found = patterns.find(name);
  return found == patterns.end() ? nullptr : found->second.c_str();
}

}  // namespace skua

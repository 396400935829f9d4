// Language cases with the text that Jinja2 3.1.2 renders, chosen from the
// snippets of tools/make_template_fixtures.py.
#include <gtest/gtest.h>

#include "text/chat_template.h"

namespace skua {
namespace {

struct Case {
  const char* source;
  const char* expected;
};

constexpr const char* kVariables =
    R"j({"s": "Hello World", "u": "héllo 日本語 🙂", "e": "", "n": 7, "z": 0, "neg": -3, "f": 2.5, "t": true, "no": null, "l": [3, 1, 2], "words": ["banana", "Apple", "cherry"], "d": {"b": 1, "a": [1, 2], "c": null}, "users": [{"name": "Bob", "age": 30, "tags": ["x"]},
{"name": "alice", "age": 25, "tags": []},
{"name": "Carol", "age": 30, "tags": ["x", "y"]}], "nested": {"a": {"b": {"c": 5}}, "list": [[1, 2], [3]]}, "lines": "one\ntwo\n\nthree", "html": "<a href='x'>&\"</a>", "big": 12345678901234567890, "tree": [{"v": 1, "kids": [{"v": 2, "kids": []},
{"v": 3, "kids": [{"v": 4, "kids": []}]}]}]})j";

constexpr Case kCases[] = {
    {R"j({{ 1 }} {{ 1.0 }} {{ 1e16 }} {{ 1e15 }} {{ 1e-5 }} {{ 0.0001 }} {{ 1.5e300 }} {{ 0.1 + 0.2 }} {{ 1/3 }})j",
     R"j(1 1.0 1e+16 1000000000000000.0 1e-05 0.0001 1.5e+300 0.30000000000000004 0.3333333333333333)j"},
    {R"j({{ -2 ** 2 }} {{ 2 ** 3 ** 2 }} {{ 1 + 2 * 3 - 4 / 2 }} {{ (1 + 2) * 3 }} {{ 10 / 5 }} {{ 1 - -1 }})j",
     R"j(4 64 5.0 9 2.0 2)j"},
    {R"j({{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 1_000 }} {{ 1_0.5 }})j",
     R"j(31 5 15 1000 10.5)j"},
    {R"j({{ [1] + [2] }} {{ (1,) + (2,) }} {{ [0] * 3 }} {{ 'ab' * 3 }} {{ 3 * 'ab' }} {{ 'ab' * -1 }})j",
     R"j([1, 2] (1, 2) [0, 0, 0] ababab ababab )j"},
    {R"j({{ d.zzz }}|{{ d['zzz'] }}|{{ l[9] }}|{{ s[99] }}|{{ d.zzz is defined }})j",
     R"j(||||False)j"},
    {R"j({{ d }} {{ l }} {{ (1,) }} {{ () }} {{ [] }} {{ {} }} {{ {'a': (1, 2.0, none), 3: "it's"} }})j",
     R"j({'b': 1, 'a': [1, 2], 'c': None} [3, 1, 2] (1,) () [] {} {'a': (1, 2.0, None), 3: "it's"})j"},
    {R"j({{ s[0] }}{{ s[-1] }}{{ s[1:4] }}|{{ s[::-1] }}|{{ s[::2] }}|{{ s[-3:] }}|{{ s[:-3] }}|{{ s[5:2] }}|{{ s[100:] }})j",
     R"j(Hdell|dlroW olleH|HloWrd|rld|Hello Wo||)j"},
    {R"j({{ l['a'] }}|{{ l[1.0] }}|{{ l[true] }})j", R"j(||1)j"},
    {R"j({{ t and n }}|{{ z or e }}|{{ not t }}|{{ not not n }}|{{ t and not z or e }}|{{ no or 'x' }}|{{ [] and 1 }})j",
     R"j(7||False|True|True|x|[])j"},
    {R"j({{ {'a': 1, 'a': 2, 1: 'x', 1.0: 'y', true: 'z'} }})j",
     R"j({'a': 2, 1: 'z'})j"},
    {R"j({%- for i in l %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0 }}/{{ loop.first }}/{{ loop.last }}/{{ loop.length }}/{{ loop.previtem }}/{{ loop.nextitem }};{% endfor %})j",
     R"j(1/0/3/2/True/False/3//1;2/1/2/1/False/False/3/3/2;3/2/1/0/False/True/3/1/;)j"},
    {R"j({% for k in d %}{{ k }}{% endfor %}|{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}|{% for c in 'añ🙂' %}<{{ c }}>{% endfor %})j",
     R"j(bac|b=1;a=[1, 2];c=None;|<a><ñ><🙂>)j"},
    {R"j({% for i in range(10) if i % 2 %}{{ i }}:{{ loop.index }}:{{ loop.last }} {% endfor %}|{% for i in l if i > 9 %}x{% else %}none{% endfor %})j",
     R"j(1:1:False 3:2:False 5:3:False 7:4:False 9:5:True |none)j"},
    {R"j({% for i in range(3) %}{% for j in range(2) %}{{ loop.index }}{{ i }}{{ j }} {% endfor %}{{ loop.index }};{% endfor %})j",
     R"j(100 201 1;110 211 2;120 221 3;)j"},
    {R"j({% for i in l %}{{ loop.nope }}|{{ loop.nope is defined }}{% endfor %})j",
     R"j(|False|False|False)j"},
    {R"j({% set ns = namespace(a=1, b=[]) %}{% for i in l %}{% set ns.a = ns.a + i %}{% set ns.b = ns.b + [i] %}{% endfor %}{{ ns.a }}{{ ns.b }}{{ ns.c }}|{{ ns['a'] }}|{{ ns.c is defined }})j",
     R"j(7[3, 1, 2]|7|False)j"},
    {R"j({% set x %}block {{ s }}{% endset %}[{{ x }}]{% set y | upper | replace('L', 'l') %}block {{ s }}{% endset %}[{{ y }}])j",
     R"j([block Hello World][BlOCK HEllO WORlD])j"},
    {R"j({% for i in [1, 2] %}{% if i == 1 %}{% set q = 'one' %}{% endif %}{{ q is defined }}{% endfor %}{{ q is defined }})j",
     R"j(TrueFalseFalse)j"},
    {R"j({% macro m(a, b=2, c='x') %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m() }}{{ m(1) }}{{ m(1, 3) }}{{ m(c=1, a=2) }}{{ m(*[1, 2]) }}{{ m(**{'a': 5}) }})j",
     R"j([2x][12x][13x][221][12x][52x])j"},
    {R"j({% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, 2) }})j",
     R"j(1112)j"},
    {R"j({% macro m() %}<{{ caller is defined }}>{% endmacro %}{{ m() }})j",
     R"j(<False>)j"},
    {R"j({% macro m() %}{{ later }}{% endmacro %}{% set later = 'L' %}{{ m() }})j",
     R"j(L)j"},
    {R"j({% for i in [1, 2] %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %})j",
     R"j(12)j"},
    {R"j({% raw %}{{ not rendered }} {% if %}{% endraw %}|{%- raw -%}  x  {%- endraw -%}  y)j",
     R"j({{ not rendered }} {% if %}|xy)j"},
    {R"j({#)j", R"j()j"},
    {R"j(after)j", R"j(after)j"},
    {R"j(end)j", R"j(end)j"},
    {R"j(y)j", R"j(y)j"},
    {R"j( a)j", R"j( a)j"},
    {R"j(a {%- if true -%} b {%- endif -%} c)j", R"j(abc)j"},
    {R"j(   {{ 'var' }}   )j", R"j(   var   )j"},
    {R"j(next)j", R"j(next)j"},
    {R"j({{ [1, 2,] }} {{ (1, 2,) }} {{ {'a': 1,} }} {{ range(3)|list }} {{ range(2, 8, 3)|list }} {{ range(3, 0, -1)|list }} {{ range(3) }} {{ range(5)[1] }} {{ range(0)|list }})j",
     R"j([1, 2] (1, 2) {'a': 1} [0, 1, 2] [2, 5] [3, 2, 1] range(0, 3) 1 [])j"},
    {R"j({{ users|tojson(indent=4) }})j",
     R"j([
    {
        "name": "Bob",
        "age": 30,
        "tags": [
            "x"
        ]
    },
    {
        "name": "alice",
        "age": 25,
        "tags": []
    },
    {
        "name": "Carol",
        "age": 30,
        "tags": [
            "x",
            "y"
        ]
    }
])j"},
    {R"j({{ d|tojson(sort_keys=true) }}|{{ d|tojson(separators=(',', ':')) }}|{{ u|tojson(ensure_ascii=true) }}|{{ d|tojson(indent='--') }}|{{ d|tojson(indent=2, separators=(',', ': ')) }})j",
     R"j({"a": [1, 2], "b": 1, "c": null}|{"b":1,"a":[1,2],"c":null}|"h\u00e9llo \u65e5\u672c\u8a9e \ud83d\ude42"|{
--"b": 1,
--"a": [
----1,
----2
--],
--"c": null
}|{
  "b": 1,
  "a": [
    1,
    2
  ],
  "c": null
})j"},
    {R"j({{ "\"\\/\b\f\n\r\t\x01\x7f\u2028é🙂"|tojson }})j",
     R"j("\"\\/\b\f\n\r\t\u0001 é🙂")j"},
    {R"j({{ d.get('a') }} {{ d.get('q') }} {{ d.get('q', 5) }} {{ d.get('c', 5) }} {{ d|length }} {{ d|list }} {{ d|first }})j",
     R"j([1, 2] None 5 None 3 ['b', 'a', 'c'] b)j"},
    {R"j({{ l.pop() }} {{ l.pop(0) }} {{ l }})j", R"j(2 3 [1])j"},
    {R"j({{ d.__len__ }}|{{ d['__len__'] }}|{{ {'__x': 1}.__x }}|{{ {'_y': 2}._y }})j",
     R"j(||1|2)j"},
    {R"j({{ '  x '.strip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'abc'.lstrip('ab') }}|{{ 'abc'.rstrip('bc') }}|{{ ' x '.lstrip() }}|{{ ' x '.rstrip() }}|{{ '\u3000x\xa0'.strip() }}|{{ 'x'.strip('') }})j",
     R"j(x|a|c|a|x | x|x|x)j"},
    {R"j({{ s.find('o') }} {{ s.rfind('o') }} {{ s.find('zz') }} {{ s.find('o', 5) }} {{ u.find('🙂') }} {{ s.index('W') }} {{ s.count('l') }} {{ s.count('') }} {{ s.find('') }} {{ s.rfind('') }} {{ s.count('l', 3) }})j",
     R"j(4 7 -1 7 10 6 3 12 0 11 2)j"},
    {R"j({{ ', '.join(['a', 'b']) }} {{ ''.join(words) }} {{ '-'.join('abc') }} {{ ','.join(d) }})j",
     R"j(a, b bananaApplecherry a-b-c b,a,c)j"},
    {R"j({{ 'ab'.center(7) }}|{{ 'abc'.center(6, '*') }}|{{ 'ab'.ljust(5, '.') }}|{{ 'ab'.rjust(5) }}|{{ '42'.zfill(5) }}|{{ '-42'.zfill(5) }}|{{ 'abc'.center(2) }}|{{ 'a'.center(4) }})j",
     R"j(   ab  |*abc**|ab...|   ab|00042|-0042|abc| a  )j"},
    {R"j({{ '%s' % s }} {{ '%(a)s-%(b)d' % {'a': 1, 'b': 2} }} {{ '%s' % [1, 2] }} {{ '%s' % (none,) }} {{ '%.3s|' % 'abcdef' }} {{ '%*d' % (5, 3) }} {{ '%X' % 255 }} {{ '%#x' % 255 }} {{ '%i' % 3.7 }})j",
     R"j(Hello World 1-2 [1, 2] None abc|     3 FF 0xff 3)j"},
    {R"j({{ '{:,} {:<6}| {:^7}| {:+d} {:x} {:08.3f} {:*^9} {:%} {:e} {:g} {:b}'.format(1234567, 'ab', 'mid', 5, 255, 3.14159, 'x', 0.25, 12345.678, 0.5, 5) }})j",
     R"j(1,234,567 ab    |   mid  | +5 ff 0003.142 ****x**** 25.000000% 1.234568e+04 0.5 101)j"},
    {R"j({{ s|upper }} {{ s|lower }} {{ 'hELLO wORLD'|capitalize }} {{ "hello world-foo (bar) it's"|title }} {{ 5|upper }} {{ none|lower }})j",
     R"j(HELLO WORLD hello world Hello world Hello World-Foo (Bar) It's 5 none)j"},
    {R"j({{ lines|indent }}|{{ lines|indent(2, true) }}|{{ lines|indent(2, blank=true) }}|{{ lines|indent('> ', first=true) }}|{{ ''|indent }}|{{ 'a\n'|indent }})j",
     R"j(one
    two

    three|  one
  two

  three|one
  two
  
  three|> one
> two

> three||a
)j"},
    {R"j({{ l|first }} {{ l|last }} {{ s|first }} {{ s|last }} {{ []|first }}| {{ []|last }}| {{ x|first }}|)j",
     R"j(3 2 H d | | |)j"},
    {R"j({{ l|list }} {{ s|list }} {{ d|list }} {{ x|list }} {{ (1,2)|list }})j",
     R"j([3, 1, 2] ['H', 'e', 'l', 'l', 'o', ' ', 'W', 'o', 'r', 'l', 'd'] ['b', 'a', 'c'] [] [1, 2])j"},
    {R"j({{ d|items|list }} {{ x|items|list }} {% for k, v in d|items %}{{ k }}{{ loop.last }}{% endfor %})j",
     R"j([('b', 1), ('a', [1, 2]), ('c', None)] [] bFalseaFalsecTrue)j"},
    {R"j({{ l|select('odd')|list }} {{ l|reject('odd')|list }} {{ [0, 1, '', 'a', none]|select|list }} {{ [0, 1, x]|reject|list }} {{ l|select('>', 1)|list }} {{ l|select('in', [1, 2])|list }} {{ l|select('divisibleby', 3)|list }} {{ [x, 1]|select('defined')|list }})j",
     R"j([3, 1] [2] [1, 'a'] [0, Undefined] [3, 2] [1, 2] [3] [1])j"},
    {R"j({{ (l|select('odd')) is iterable }} {{ (l|select('odd')) is sequence }} {{ 2 in l|select }} {{ l|select|first }})j",
     R"j(True False True 3)j"},
    {R"j({{ l|min }} {{ l|max }} {{ words|min }} {{ words|max }} {{ users|max(attribute='age') }} {{ []|min }}| {{ [1, 2.5]|sum }} {{ users|sum('age') }} {{ l|sum(start=10) }} {{ [[1], [2]]|sum(start=[]) }})j",
     R"j(1 3 Apple cherry {'name': 'Bob', 'age': 30, 'tags': ['x']} | 3.5 85 16 [1, 2])j"},
    {R"j({{ '4.5'|float }} {{ '1e3'|float }} {{ 'x'|float }} {{ 'x'|float(1.5) }} {{ 3|float }} {{ none|float }} {{ 'inf'|float }} {{ '-inf'|float }} {{ 'nan'|float }} {{ '.5'|float }} {{ '5.'|float }})j",
     R"j(4.5 1000.0 0.0 1.5 3.0 0.0 inf -inf nan 0.5 5.0)j"},
    {R"j({{ 1|string + 'a' }} {{ none|string }} {{ 1.5|string }} {{ l|string }} {{ x|string }}|{{ true|string|length }})j",
     R"j(1a None 1.5 [3, 1, 2] |4)j"},
    {R"j({{ d|attr('b') }}|{{ s|attr('upper') is callable }})j", R"j(|True)j"},
    {R"j({{ n is odd and n is number }} {{ not n is odd }} {{ 3 is divisibleby 2 or 5 }} {{ n + 1 is odd }} {{ -1 is number }})j",
     R"j(True False 5 8 True)j"},
    {R"j({% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.current }})j",
     R"j(ababNonea)j"},
    {R"j({{ dict(a=1, b=2) }} {{ dict([('x', 1)]) }} {{ dict({'q': 1}, r=2) }} {{ dict() }})j",
     R"j({'a': 1, 'b': 2} {'x': 1} {'q': 1, 'r': 2} {})j"},
    {R"j({% print 1, 2 %}|{% print s %})j", R"j(12|Hello World)j"},
    {R"j({% if n > 5 %}a{% elif n > 3 %}b{% else %}c{% endif %}{% if z %}a{% elif e %}b{% elif t %}c{% else %}d{% endif %})j",
     R"j(ac)j"},
    {R"j({% set x = 1 %}{{ x }}{{ x|string * 3 }})j", R"j(1111)j"},
    {R"j({{ (1, 2)[0] }} {{ [1, 2][1] }} {{ {'a': 1}.a }} {{ 'abc'[1] }} {{ 'abc'.upper()[0:2] }} {{ ('a' ~ 'b').upper() }})j",
     R"j(1 2 1 b AB AB)j"},
    {R"j({{ messages is defined and messages|length > 0 }} {{ (messages or [])|length }})j",
     R"j(False 0)j"},
    {R"j({{ 10 ** 20 }} {{ 2 ** 64 }} {{ 9007199254740993 }} {{ 1.7976931348623157e308 }} {{ 5e-324 }} {{ 123456789.123456789 }} {{ 100.0 }} {{ 1e2 }} {{ 1.5E3 }})j",
     R"j(100000000000000000000 18446744073709551616 9007199254740993 1.7976931348623157e+308 5e-324 123456789.12345679 100.0 100.0 1500.0)j"},
    {R"j({#
multi
#}
after)j",
     R"j(after)j"},
    {R"j(x
  {%+ if true %}
 a
  {%+ endif %}
y)j",
     R"j(x
   a
  y)j"},
    {R"j({% if true %}  
same{% endif %} 
next)j",
     R"j(  
same 
next)j"},
    {R"j({% for m in l %}
  {{ m }}
{% endfor %}

)j",
     R"j(  3
  1
  2
)j"},
    {R"j({{ s }}  
  {# c #}  
  x)j",
     R"j(Hello World  
  
  x)j"},
    {R"j(x {% if t %}
 y{% endif %})j",
     R"j(x  y)j"},
    {R"j({% raw %}
  {{ x }}
{% endraw %}
z)j",
     R"j(
  {{ x }}
z)j"},
    {R"j({{- s -}}
 {{- s -}} 
)j",
     R"j(Hello WorldHello World)j"},
    {R"j({% macro m() %}
  a
{% endmacro %}
[{{ m() }}])j",
     R"j([  a
])j"},
    {R"j({{ {
'a':
1} }})j",
     R"j({'a': 1})j"},
    {R"j({% macro m() %}[{{ i }}{{ s }}]{% endmacro %}{% for i in [1] %}{% set s = 2 %}{{ m() }}{% endfor %})j",
     R"j([Hello World])j"},
};

TEST(JinjaLanguage, RendersAsJinja2) {
  const Json variables = Json::parse(kVariables);
  for (const auto& each : kCases) {
    EXPECT_EQ(ChatTemplate(each.source).render(variables), each.expected)
        << each.source;
  }
}

}  // namespace
}  // namespace skua

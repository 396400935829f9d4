#include <skua/skua.h>

#include <iostream>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    const auto model = skua::Model::load(argv[1]);
    const auto chat = skua::Chat(model).user(argv[2]);
    for (const auto& piece : model.stream(chat, {.max_tokens = 16}))
      std::cout << piece.text << std::flush;
    std::cout << '\n';
  } catch (const skua::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}

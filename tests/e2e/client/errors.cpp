#include <skua/error.h>

#include <iostream>

int main() {
  try {
    throw skua::NotFound("client", "a model, got none");
  } catch (const skua::Error& error) {
    std::cout << error.what() << '\n';
  }
}

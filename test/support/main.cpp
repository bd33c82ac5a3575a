#include "support/check.h"

int main(int argc, char** argv) {
  return cria::test::run_all(argc, argv);
}

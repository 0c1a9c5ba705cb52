int level;
__attribute__((section("__param"), used)) static int *const parameter_level = &level;

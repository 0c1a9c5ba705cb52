// refused: section-changed __param
int level;
int depth;
__attribute__((section("__param"), used)) static int *const parameter_level = &level;
__attribute__((section("__param"), used)) static int *const parameter_depth = &depth;

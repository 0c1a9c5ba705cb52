// refused: init-code wanted
__attribute__((section(".init.data"))) int wanted = 2;

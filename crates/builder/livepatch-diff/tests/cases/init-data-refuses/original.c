__attribute__((section(".init.data"))) int wanted = 1;

int name(int x)
{
	switch (x) {
	case 0: asm volatile("nop; nop"); return 30;
	case 1: asm volatile("nop; inc %0" : "+r"(x)); return x;
	case 2: asm volatile("nop; dec %0" : "+r"(x)); return x * 3;
	case 3: asm volatile("nop; neg %0" : "+r"(x)); return x * 5;
	case 4: asm volatile("nop; not %0" : "+r"(x)); return x * 7;
	case 5: asm volatile("nop; nop; nop"); return 41;
	}
	return -1;
}

int alone(int x)
{
	return x;
}

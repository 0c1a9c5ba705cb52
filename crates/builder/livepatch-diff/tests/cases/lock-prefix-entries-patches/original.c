#define LOCK "\t.pushsection .smp_locks, \"a\"\n\t.balign 4\n\t.long 671f - .\n\t.popsection\n671:\n\tlock; "

void add(int *x, int by)
{
	asm volatile(LOCK "addl %1, %0" : "+m"(*x) : "ir"(by));
}

void increment(int *x)
{
	asm volatile(LOCK "incl %0" : "+m"(*x));
}

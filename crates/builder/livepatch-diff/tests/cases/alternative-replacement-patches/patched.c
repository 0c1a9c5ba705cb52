// changed: fence
// entries: .altinstructions 1
#define ALTERNATIVE(old, feature, new) asm volatile("1:\t" old "\n2:\n" \
	"\t.pushsection .altinstructions, \"a\"\n\t.long 1b - ., 3f - .\n\t.word " #feature "\n" \
	"\t.byte 2b - 1b, 4f - 3f\n\t.popsection\n" \
	"\t.pushsection .altinstr_replacement, \"ax\"\n3:\t" new "\n4:\n\t.popsection" : : : "memory")

void flush(void)
{
	ALTERNATIVE("mfence", 122, "call flush_fast");
}

void fence(void)
{
	ALTERNATIVE("mfence", 122, "mfence");
}

void sync(void)
{
	ALTERNATIVE("mfence", 122, "sfence");
}

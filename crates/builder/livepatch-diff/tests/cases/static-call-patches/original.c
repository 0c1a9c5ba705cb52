extern struct static_call_key {
	void *func;
} __SCK__clock;
long __SCT__clock(void);

static void *__attribute__((used, section(".discard.addressable")))
	__UNIQUE_ID___addressable_clock = &__SCK__clock;

static inline long clock(void)
{
	return __SCT__clock();
}

long work(long x)
{
	return clock() + x;
}

long idle(long x)
{
	return clock() - x;
}

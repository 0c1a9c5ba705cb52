__attribute__((section(".data..percpu"))) static int hits;

int hit(int by)
{
	hits += by;
	return hits;
}

# 1 "include/request.h"
struct request {
	int kind;
	union {
		long number;
		void *pointer;
	};
	int end;
};
# 1 "unit.c"
int end(struct request *request)
{
	return request->end;
}

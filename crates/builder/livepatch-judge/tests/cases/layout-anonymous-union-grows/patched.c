// finding: refuse layout-changed struct request
// says: new member 'long int cookie[2]' at 8
# 1 "include/request.h"
struct request {
	int kind;
	union {
		long number;
		void *pointer;
		long cookie[2];
	};
	int end;
};
# 1 "unit.c"
int end(struct request *request)
{
	return request->end;
}

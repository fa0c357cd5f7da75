/* Faults that each of the tools has to see, and what looks like one to a tool that does not know OpenMP. */

#include <stdlib.h>

/* Read back at run time, so that no compiler knows what it is. */
static volatile int eight = 8;

int a_read_behind_the_end(void)
{
    volatile double *x = calloc(eight, sizeof *x);
    return (int)x[eight];
}

int a_write_behind_the_end(void)
{
    volatile double *x = calloc(eight, sizeof *x);
    x[eight] = 1;
    return 0;
}

int a_signed_overflow(void)
{
    volatile int large = 0x7fffffff;
    return large + eight > 0;
}

int a_decision_by_what_nobody_has_written(void)
{
    volatile double *x = malloc(eight * sizeof *x);
    return x[3] > 0 ? 7 : 5;
}

/* Every thread adds to one number. */
int a_race(void)
{
    static int sum;
    #pragma omp parallel for num_threads(4)
    for (int i = 0; i < 100000; i++)
        sum += i;
    return sum;
}

/* What the kernels do: loops one after the other over one array, scratch, and a sum of each thread's. */
int no_fault(void)
{
    enum { N = 100000 };
    double *x = calloc(N, sizeof *x), sum = 0;
    int total = 0;
    for (int turn = 0; turn < 20; turn++) {
        #pragma omp parallel for num_threads(4)
        for (int i = 0; i < N; i++)
            x[i] += i;
        #pragma omp parallel for num_threads(3) reduction(+ : sum)
        for (int i = 0; i < N; i++)
            sum += x[N - 1 - i];
        x[0] = sum;
        total += x[N / 2] > 0;
    }
    free(x);
    return total;
}

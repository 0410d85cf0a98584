/* Peers of `tandem primes` that are C libraries, for `primes.py`, which compiles this in its scratch folder with -DFLINT or -DGMP.
 * Nothing of it is linked into tandem.
 *
 * `numbers FILE` prints how many numbers of a file, one a line, are prime, and the seconds that telling took; `factors FILE` (FLINT) prints each number
 * with its prime factors, as `factor` does. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef FLINT
#include <flint/ulong_extras.h>
#else
#include <gmp.h>
#endif

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

static unsigned long *read_all(const char *path, size_t *len)
{
    FILE *file = fopen(path, "r");
    size_t room = 1024;
    unsigned long *numbers = malloc(room * sizeof *numbers);
    if (file == NULL || numbers == NULL)
        exit(1);
    *len = 0;
    while (fscanf(file, "%lu", &numbers[*len]) == 1)
        if (++*len == room && (numbers = realloc(numbers, (room *= 2) * sizeof *numbers)) == NULL)
            exit(1);
    fclose(file);
    return numbers;
}

int main(int argc, char **argv)
{
    size_t len, count = 0;
    if (argc != 3)
        return 2;
    unsigned long *numbers = read_all(argv[2], &len);
    double begin = seconds();
#ifdef FLINT
    if (strcmp(argv[1], "factors") == 0) {
        for (size_t i = 0; i < len; i++) {
            n_factor_t factors;
            n_factor_init(&factors);
            n_factor(&factors, numbers[i], 1);
            printf("%lu", numbers[i]);
            for (int j = 0; j < factors.num; j++)
                for (int k = 0; k < factors.exp[j]; k++)
                    printf(" %lu", factors.p[j]);
            printf("\n");
        }
        return 0;
    }
    for (size_t i = 0; i < len; i++)
        count += n_is_prime(numbers[i]);
#else
    /* The test of Baillie, Pomerance, Selfridge and Wagstaff and no more: exact for 64 bits, though GMP does not promise it. */
    mpz_t number;
    mpz_init(number);
    for (size_t i = 0; i < len; i++) {
        mpz_set_ui(number, numbers[i]);
        count += mpz_probab_prime_p(number, 24) != 0;
    }
#endif
    printf("%zu %.9f\n", count, seconds() - begin);
    return 0;
}

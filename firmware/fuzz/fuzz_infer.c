/* Any image through a rendered network: the class is the first largest score, equal images give equal scores whatever
 * was inferred in between, and an image that is said to stay as it is does. */
#include <string.h>

#include "app_net.h"
#include "fuzz_oracle.h"

/* Scores are compared as C does it. */
static uint8_t is_above(uint8_t left, uint8_t right)
{
    const uint32_t words[2] = {app_net_score(left), app_net_score(right)};
#if MODEL_FORMAT == 2
    int32_t values[2];
#else
    float values[2];
#endif
    memcpy(values, words, sizeof values);
    return values[0] > values[1];
}

static uint8_t infer(const uint8_t *image, uint32_t *scores)
{
#if defined(MODEL_IMAGE_AT)
    uint8_t *const place = app_net_image();
#else
    static uint8_t place[APP_IMAGE_BYTES];
#endif
    memcpy(place, image, APP_IMAGE_BYTES);
    const uint8_t predicted = app_net_infer(place);
#if !defined(MODEL_IMAGE_AT)
    FUZZ_CHECK(memcmp(place, image, APP_IMAGE_BYTES) == 0);
#endif
    FUZZ_CHECK(predicted < MODEL_CLASSES);
    for (uint8_t i = 0; i < MODEL_CLASSES; i++) {
        FUZZ_CHECK(!is_above(i, predicted));
        FUZZ_CHECK(i >= predicted || is_above(predicted, i));
        scores[i] = app_net_score(i);
    }
    return predicted;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t image[APP_IMAGE_BYTES], other[APP_IMAGE_BYTES];
    uint32_t scores[MODEL_CLASSES], again[MODEL_CLASSES];
    if (size == 0)
        return 0;
    for (size_t i = 0; i < APP_IMAGE_BYTES; i++) {
        image[i] = data[i % size];
        other[i] = (uint8_t)~image[i];
    }
    const uint8_t predicted = infer(image, scores);
    infer(other, again);
    FUZZ_CHECK(infer(image, again) == predicted);
    FUZZ_CHECK(memcmp(scores, again, sizeof scores) == 0);
    return 0;
}

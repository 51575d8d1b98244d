#include "protocol/api.h"

#include "protocol/tables.h"

const struct api *api_all(size_t *count)
{
    *count = codec_apis_count;
    return codec_apis;
}

const struct api *api_find(int16_t key)
{
    size_t low = 0, high = codec_apis_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (codec_apis[middle].key == key)
            return &codec_apis[middle];
        if (codec_apis[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

int16_t api_request_header_version(const struct api *api, int16_t version)
{
    return version >= api->request->flexible_from ? 2 : 1;
}

int16_t api_response_header_version(const struct api *api, int16_t version)
{
    if (api->response_header >= 0)
        return api->response_header;
    return version >= api->response->flexible_from ? 1 : 0;
}

#include "server/handlers/api_versions.h"

#include "base/error.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/request.h"

#define FIRST_VERSION_WITH_SOFTWARE 3
#define FIRST_VERSION_WITH_ZERO_FEATURES \
    4 // older clients cannot read a feature whose minimum is 0 (KAFKA-17492)

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Letters, digits, '-' and '.', and the first and last are a letter or digit (KIP-511).
static bool is_software_text(struct str s)
{
    if (s.size == 0 || !is_alphanumeric(s.data[0]) || !is_alphanumeric(s.data[s.size - 1]))
        return false;
    for (size_t i = 0; i < s.size; i++)
        if (!is_alphanumeric(s.data[i]) && s.data[i] != '-' && s.data[i] != '.')
            return false;
    return true;
}

static int list_apis(struct request *request, struct api_versions_response *response)
{
    const struct api_table *table = request_apis(request);
    enum listener_kind kind = request_listener(request)->kind;
    response->api_keys = api_versions_response_api_version_new(&request->arena, API_KEY_LIMIT);
    if (!response->api_keys)
        return ERR_NOMEM;
    for (int16_t key = 0; key < API_KEY_LIMIT; key++) {
        const struct api_handler *handler = api_table_find(table, key, kind);
        if (!handler || (request->is_from_future && handler != request->api))
            continue;
        struct api_versions_response_api_version *api = &response->api_keys[response->api_keys_count++];
        api->api_key = key;
        api->min_version =
            handler->advertised_min_version >= 0 ? handler->advertised_min_version : handler->min_version;
        api->max_version = handler->max_version;
    }
    return 0;
}

static int list_features(struct request *request, struct api_versions_response *response)
{
    struct features features = {.finalized_epoch = -1};
    const struct api_table *table = request_apis(request);
    if (table->features)
        table->features(request, &features);
    int32_t count = (int32_t)features.count;
    response->supported_features = api_versions_response_supported_feature_key_new(&request->arena, count);
    response->finalized_features = api_versions_response_finalized_feature_key_new(&request->arena, count);
    if (!response->supported_features || !response->finalized_features)
        return ERR_NOMEM;
    response->finalized_features_epoch = features.finalized_epoch;
    for (size_t i = 0; i < features.count; i++) {
        const struct feature *feature = &features.items[i];
        if (feature->min_version > 0 || request->version >= FIRST_VERSION_WITH_ZERO_FEATURES)
            response->supported_features[response->supported_features_count++] =
                (struct api_versions_response_supported_feature_key){feature->name, feature->min_version,
                                                                     feature->max_version};
        if (feature->finalized_version != 0)
            response->finalized_features[response->finalized_features_count++] =
                (struct api_versions_response_finalized_feature_key){
                    feature->name, feature->finalized_version, feature->finalized_version};
    }
    return 0;
}

static void handle(struct request *request)
{
    const struct api_versions_request *message = request->message;
    struct api_versions_response response = api_versions_response_default;
    int err = 0;
    if (request->is_from_future) {
        response.error_code = E_UNSUPPORTED_VERSION;
        err = list_apis(request, &response);
    } else if (request->version >= FIRST_VERSION_WITH_SOFTWARE &&
               (!is_software_text(message->client_software_name) ||
                !is_software_text(message->client_software_version))) {
        response.error_code = E_INVALID_REQUEST;
    } else {
        if (request->version >= FIRST_VERSION_WITH_SOFTWARE)
            err = request_set_client_software(request, message->client_software_name,
                                              message->client_software_version);
        if (!err)
            err = list_apis(request, &response);
        if (!err)
            err = list_features(request, &response);
    }
    if (err)
        request_close(request, err_text(err));
    else
        request_respond(request, &response);
}

const struct api_handler api_versions_handler = {
    .api_key = 18,
    .min_version = 0,
    .max_version = 4,
    .advertised_min_version = -1,
    .listeners = LISTENER_BROKER | LISTENER_CONTROLLER,
    .handle = handle,
};

#include "base/digest.h"

#include "base/error.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

static const EVP_MD *type_of(enum digest d)
{
    return d == DIGEST_SHA_256 ? EVP_sha256() : EVP_sha512();
}

int digest_hash(enum digest d, struct bytes data, uint8_t *out)
{
    return EVP_Digest(data.data, data.size, out, NULL, type_of(d), NULL) == 1 ? 0 : ERR_NOMEM;
}

int digest_hmac(enum digest d, struct bytes key, struct str data, uint8_t *out)
{
    unsigned size;
    return HMAC(type_of(d), key.data, (int)key.size, (const uint8_t *)data.data, data.size, out, &size)
               ? 0
               : ERR_NOMEM;
}

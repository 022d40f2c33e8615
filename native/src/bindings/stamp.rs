//! Timestamps cross as BigInt, without the allocation of napi-rs's own BigInt.

use napi::bindgen_prelude::{FromNapiValue, TypeName, ValidateNapiValue, ValueType};
use napi::{Error, Result, Status, sys};

use crate::sync::STAMP_LIMIT;

/// Nanoseconds since the epoch.
pub struct Stamp(pub i64);

impl TypeName for Stamp {
    fn type_name() -> &'static str {
        "bigint"
    }

    fn value_type() -> ValueType {
        ValueType::BigInt
    }
}

impl ValidateNapiValue for Stamp {}

impl FromNapiValue for Stamp {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let (mut stamp, mut lossless) = (0, false);
        // SAFETY: `env` and `value` are the ones that napi-rs calls us with; the outputs live here.
        let status = unsafe { sys::napi_get_value_bigint_int64(env, value, &mut stamp, &mut lossless) };
        if status != sys::Status::napi_ok || !lossless || !(-STAMP_LIMIT..=STAMP_LIMIT).contains(&stamp) {
            return Err(Error::new(Status::BigintExpected, "a timestamp is a bigint of nanoseconds within ±2^62"));
        }
        Ok(Stamp(stamp))
    }
}

//! Errors that keep their code on the way to JavaScript, from synchronous and async functions alike.

use napi::bindgen_prelude::{JsValue, Object, ToNapiValue, TypeName, ValueType};
use napi::{Env, Error, Result, sys};

use crate::error::EngineError;

/// What a binding returns. A failure becomes a JavaScript `Error` with an own `code`.
///
/// napi-rs drops custom codes of async functions; a conversion runs on the JavaScript thread for both
/// kinds, so the error is made there.
pub struct Coded<T>(pub std::result::Result<T, EngineError>);

impl<T> Coded<T> {
    /// Calls an engine.
    pub fn of<E: Into<EngineError>>(call: impl FnOnce() -> std::result::Result<T, E>) -> Self {
        Coded(call().map_err(Into::into))
    }
}

impl<T> TypeName for Coded<T> {
    fn type_name() -> &'static str {
        "Coded"
    }

    fn value_type() -> ValueType {
        ValueType::Unknown
    }
}

impl<T: ToNapiValue> ToNapiValue for Coded<T> {
    unsafe fn to_napi_value(env: sys::napi_env, value: Self) -> Result<sys::napi_value> {
        match value.0 {
            // SAFETY: `env` is the one that napi-rs calls us with.
            Ok(value) => unsafe { T::to_napi_value(env, value) },
            Err(error) => Err(thrown(Env::from_raw(env), error)?),
        }
    }
}

/// The napi error that throws, or rejects with, a JavaScript error that carries the code.
fn thrown(env: Env, error: EngineError) -> Result<Error> {
    let mut object: Object = env.create_error(Error::from_reason(error.message))?;
    object.set("code", error.code)?;
    Ok(Error::from(object.to_unknown()))
}

//! Asks DynamoDB for the cost of every call, and adds it to the request's line. This is the one place for it, so that no call
//! can be left out.

use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{
            AfterDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextMut,
            BeforeTransmitInterceptorContextRef,
        },
    },
    error::BoxError,
    operation::{
        batch_get_item::{BatchGetItemInput, BatchGetItemOutput},
        batch_write_item::{BatchWriteItemInput, BatchWriteItemOutput},
        get_item::{GetItemInput, GetItemOutput},
        put_item::{PutItemInput, PutItemOutput},
        query::{QueryInput, QueryOutput},
        transact_write_items::{TransactWriteItemsInput, TransactWriteItemsOutput},
        update_item::{UpdateItemInput, UpdateItemOutput},
    },
    types::{ConsumedCapacity, ReturnConsumedCapacity},
};
use aws_smithy_runtime_api::client::{
    interceptors::{context::Output, dyn_dispatch_hint},
    retries::RequestAttempts,
};

use crate::telemetry::{self, Incident};

/// The interceptor of the SDK's client.
#[derive(Debug)]
pub(super) struct Metering;

#[dyn_dispatch_hint]
impl Intercept for Metering {
    fn name(&self) -> &'static str {
        "Metering"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input_mut();
        macro_rules! ask {
            ($($kind:ty),+) => {
                $(if let Some(input) = input.downcast_mut::<$kind>() {
                    input.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
                    return Ok(());
                })+
            };
        }
        ask!(
            GetItemInput,
            PutItemInput,
            QueryInput,
            BatchGetItemInput,
            TransactWriteItemsInput,
            UpdateItemInput,
            BatchWriteItemInput
        );
        Ok(())
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if bag.load::<RequestAttempts>().is_some_and(|attempts| attempts.attempts() > 1) {
            telemetry::count(Incident::DynamoDbRetry);
        }
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Ok(output) = context.output_or_error() {
            let (read, write) = units(output);
            telemetry::add_units(read, write);
        }
        Ok(())
    }
}

/// The read and write units of an answer.
fn units(output: &Output) -> (f64, f64) {
    macro_rules! find {
        ($($kind:ty),+) => {
            $(if let Some(output) = output.downcast_ref::<$kind>() {
                return total(output.consumed_capacity.as_slice());
            })+
        };
    }
    let reads = || -> f64 {
        find!(GetItemOutput, QueryOutput);
        output.downcast_ref::<BatchGetItemOutput>().map_or(0.0, |output| total(output.consumed_capacity()))
    };
    let writes = || -> f64 {
        find!(PutItemOutput, UpdateItemOutput);
        let of_transaction = output.downcast_ref::<TransactWriteItemsOutput>();
        of_transaction.map_or_else(
            || {
                let of_batch = output.downcast_ref::<BatchWriteItemOutput>();
                of_batch.map_or(0.0, |output| total(output.consumed_capacity()))
            },
            |output| total(output.consumed_capacity()),
        )
    };
    (reads(), writes())
}

/// The units of all tables of an answer, with their indexes.
fn total(tables: &[ConsumedCapacity]) -> f64 {
    tables.iter().filter_map(ConsumedCapacity::capacity_units).sum()
}

-- For the list of an account's own orders by reference. Orders without one have no place in it.
CREATE INDEX orders_by_customer_and_reference ON orders (customer, reference, id)
    WHERE reference IS NOT NULL;

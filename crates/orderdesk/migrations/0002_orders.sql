-- previous_status makes the table refuse an illegal transition on its own: an update must carry
-- the status it leaves, and only the pairs below are rows of this table. A CHECK lets NULL pass, so
-- what may be NULL is asked for first.
CREATE TABLE orders (
    id TEXT NOT NULL PRIMARY KEY,
    customer TEXT NOT NULL REFERENCES accounts (id),
    previous_status TEXT,
    status TEXT NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    reference TEXT,
    total BIGINT NOT NULL CHECK (total >= 0),
    payment_reference TEXT,
    paid_at BIGINT,
    tracking TEXT,
    cancel_reason TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CHECK (
        (version = 1 AND previous_status IS NULL AND status = 'new')
        OR (version = 2 AND previous_status IS NOT NULL AND previous_status = 'new' AND status IN ('paid', 'cancelled'))
        OR (version = 3 AND previous_status IS NOT NULL AND previous_status = 'paid' AND status IN ('shipped', 'cancelled'))
    ),
    CHECK ((payment_reference IS NOT NULL) = (status = 'paid' OR version = 3)),
    CHECK ((payment_reference IS NULL) = (paid_at IS NULL)),
    CHECK (tracking IS NULL OR status = 'shipped'),
    CHECK (cancel_reason IS NULL OR status = 'cancelled')
);

CREATE INDEX orders_by_customer ON orders (customer, id);
CREATE INDEX orders_by_status ON orders (status, id);
CREATE INDEX orders_by_customer_and_status ON orders (customer, status, id);
CREATE INDEX orders_by_reference ON orders (reference, id);

CREATE TABLE order_lines (
    order_id TEXT NOT NULL REFERENCES orders (id),
    position BIGINT NOT NULL CHECK (position BETWEEN 1 AND 100),
    sku TEXT NOT NULL CHECK (length(sku) BETWEEN 1 AND 64),
    quantity BIGINT NOT NULL CHECK (quantity BETWEEN 1 AND 1000000),
    unit_price BIGINT NOT NULL CHECK (unit_price >= 0),
    PRIMARY KEY (order_id, position)
);

CREATE TABLE order_events (
    order_id TEXT NOT NULL REFERENCES orders (id),
    version BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    from_status TEXT,
    to_status TEXT NOT NULL,
    PRIMARY KEY (order_id, version),
    CHECK (
        (action = 'place' AND from_status IS NULL AND to_status = 'new')
        OR (action = 'pay' AND from_status IS NOT NULL AND from_status = 'new' AND to_status = 'paid')
        OR (action = 'ship' AND from_status IS NOT NULL AND from_status = 'paid' AND to_status = 'shipped')
        OR (action = 'cancel' AND from_status IS NOT NULL AND from_status IN ('new', 'paid') AND to_status = 'cancelled')
    )
);

-- SQLite, which keeps no statistics here, took the narrowest index that gives the order of a list, and
-- read all of a customer's orders, or everybody's in one status, for those of one customer in one
-- status. The condition holds for every order. Two lists ask for it, and only they can walk these two.
DROP INDEX orders_by_status;
DROP INDEX orders_by_customer;
CREATE INDEX orders_of_all_by_status ON orders (status, id) WHERE version > 0;
CREATE INDEX orders_of_one ON orders (customer, id) WHERE version > 0;
